"""Types that RFC 4506 does not have are refused by the compiler, which says why; those that it has are not."""

import os
import subprocess
import unittest
from pathlib import Path

INCLUDE = Path(__file__).resolve().parent.parent.parent / "core" / "include"
PROGRAM = """
#include "portico/xdr/decode.hpp"
#include "portico/xdr/encode.hpp"
using namespace portico::xdr;
enum class colour {{ red = -1, blue = 4 }};
constexpr auto xdr_enumerators(colour) {{ return std::array{{colour::red, colour::blue}}; }}
enum class unlisted {{ one }};
struct with_short {{ short number; }};
struct with_25 {{ int {members}; }};
using type = {type};
auto {function}
"""
ENCODE = "in(const type& value) { return encode(value); }"
DECODE = "out(std::span<const std::byte> bytes) { type value{}; return decode(bytes, value); }"
NO_TYPE = "RFC 4506 has no such type"
NOT_ONE_ARM = "each arm of a union is for another discriminant"
NO_BYTES = "four bytes could be any number of such elements"


def words_of_the_compiler(type_text, function):
    source = PROGRAM.format(type=type_text, function=function, members=", ".join(f"m{i}" for i in range(25)))
    done = subprocess.run([os.environ["CXX"], "-std=c++20", "-fsyntax-only", f"-I{INCLUDE}", "-x", "c++", "-"],
                          input=source, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


class Types(unittest.TestCase):
    def test_a_type_of_the_rfc_compiles(self):
        for function in (ENCODE, DECODE):
            self.assertEqual(words_of_the_compiler("std::variant<when<colour::red, int>, otherwise<colour>>", function), "")

    def test_what_is_no_type_of_the_rfc_is_refused(self):
        for type_text, said, function in (
            ("with_short", NO_TYPE, ENCODE),
            ("std::vector<unsigned char>", NO_TYPE, DECODE),
            ("std::optional<char>", NO_TYPE, ENCODE),
            ("unlisted", NO_TYPE, DECODE),
            ("bounded<list<int>, 3>", NO_TYPE, ENCODE),
            ("with_25", "too many members", DECODE),
            ("std::vector<nothing>", NO_BYTES, ENCODE),
            ("std::vector<nothing>", NO_BYTES, DECODE),
            ("std::variant<int, double>", "the arms of a union are xdr::when<> and xdr::otherwise<>", ENCODE),
            ("std::variant<when<1, int>, when<1, double>>", NOT_ONE_ARM, DECODE),
            ("std::variant<when<colour{9}, int>>", NOT_ONE_ARM, ENCODE),
            ("std::variant<otherwise<int>, otherwise<int, double>>", NOT_ONE_ARM, DECODE),
            ("std::variant<when<1>, when<1U>>", "have discriminants of one type", ENCODE),
            ("std::variant<when<1L>>", "a discriminant is int, unsigned int, bool or an enum", DECODE),
        ):
            with self.subTest(type=type_text, function=function):
                self.assertIn(said, words_of_the_compiler(type_text, function))


if __name__ == "__main__":
    unittest.main()
