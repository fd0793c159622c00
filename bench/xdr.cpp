// Encoding and decoding of XDR (RFC 4506) against what rpcgen writes on top of libtirpc's xdrmem: a
// struct of mixed members, arrays of numbers, strings. Both begin with a value of their own and one
// buffer; both decode into a new value, which is freed.
//
// bench_xdr [--runs 5] [--milliseconds 50]   for each measurement

#include "measure.hpp"
#include "portico/os/clock.hpp"
#include "portico/xdr/decode.hpp"
#include "portico/xdr/encode.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>
#include <xdr_rivals.h> // made by rpcgen

namespace portico::bench {
namespace {

// ---- ours ----

enum class status { idle, running, failed };
constexpr auto xdr_enumerators(status) {
    return std::array{status::idle, status::running, status::failed};
}

struct measurement {
    std::int64_t time = 0;
    std::uint32_t sequence = 0;
    std::int32_t level = 0;
    bool is_valid = false;
    status state{};
    float ratio = 0;
    double value = 0;
    xdr::bounded<std::string, 32> name;
    std::array<std::byte, 6> key{};
    std::array<double, 3> axes{};
};

using buffer = std::vector<std::byte>;

// The compiler has to think that all memory is looked at here.
void look_at_memory() {
    asm volatile("" : : : "memory");
}

template <class T>
void encode_ours(const T& value, buffer& to, std::size_t times) {
    for (; times > 0; --times) {
        if (!xdr::encode(value, to)) {
            throw std::runtime_error{"portico cannot encode"};
        }
        look_at_memory();
    }
}

template <class T>
void decode_ours(const buffer& from, std::size_t times) {
    for (; times > 0; --times) {
        T value{};
        if (!xdr::decode(from, value)) {
            throw std::runtime_error{"portico cannot decode"};
        }
        look_at_memory();
    }
}

// ---- libtirpc's ----

template <class T>
using filter = bool_t (*)(XDR*, T*);

template <class T>
std::size_t encode_theirs(filter<T> how, T& value, buffer& to, std::size_t times) {
    XDR stream{};
    for (; times > 0; --times) {
        ::xdrmem_create(&stream, reinterpret_cast<char*>(to.data()), static_cast<u_int>(to.size()),
                        XDR_ENCODE);
        if (!how(&stream, &value)) {
            throw std::runtime_error{"libtirpc cannot encode"};
        }
        look_at_memory();
    }
    return xdr_getpos(&stream);
}

template <class T>
void decode_theirs(filter<T> how, buffer& from, std::size_t times) {
    for (; times > 0; --times) {
        XDR stream{};
        ::xdrmem_create(&stream, reinterpret_cast<char*>(from.data()),
                        static_cast<u_int>(from.size()), XDR_DECODE);
        T value{};
        if (!how(&stream, &value)) {
            throw std::runtime_error{"libtirpc cannot decode"};
        }
        look_at_memory();
        ::xdr_free(reinterpret_cast<xdrproc_t>(how), &value);
    }
}

// ---- the contests ----

using repeated = std::function<void(std::size_t times)>;

struct contest {
    std::string what;
    std::size_t size = 0; // bytes of the encoding
    repeated ours;
    repeated theirs;
    samples our_time{}; // nanoseconds each
    samples their_time{};
};

// Both directions of one value, once both have made the same bytes of it. The values have to live
// as long as the contests.
template <class T, class Theirs>
void add(std::vector<contest>& to, const std::string& what, const T& value, Theirs& rival,
         filter<Theirs> how) {
    auto bytes = xdr::encode(value).value();
    buffer room(bytes.size());
    if (encode_theirs(how, rival, room, 1) != bytes.size() || room != bytes) {
        throw std::runtime_error{what + ": the encodings differ"};
    }
    to.push_back({"encode " + what, bytes.size(),
                  [&value, room](std::size_t times) mutable { encode_ours(value, room, times); },
                  [&rival, how, room](std::size_t times) mutable {
                      encode_theirs(how, rival, room, times);
                  }});
    to.push_back({"decode " + what, bytes.size(),
                  [bytes](std::size_t times) { decode_ours<T>(bytes, times); },
                  [bytes, how](std::size_t times) mutable { decode_theirs(how, bytes, times); }});
}

double nanoseconds_each(const repeated& run, std::size_t times) {
    const auto begun = os::now();
    run(times);
    return seconds(os::now() - begun) * 1e9 / static_cast<double>(times);
}

// How often, for so many nanoseconds.
std::size_t times_for(const repeated& run, double nanoseconds) {
    const double each = std::max(1.0, nanoseconds_each(run, 100));
    return static_cast<std::size_t>(nanoseconds / each) + 1;
}

void measure(std::vector<contest>& all, int runs, int milliseconds) {
    const double time = milliseconds * 1e6;
    for (int i = 0; i < runs; ++i) {
        progress("xdr: run " + std::to_string(i + 1) + " of " + std::to_string(runs));
        for (auto& each : all) {
            const auto ours = times_for(each.ours, time);
            const auto theirs = times_for(each.theirs, time);
            // In short turns, so that what else the machine does hits both.
            double our_sum = 0;
            double their_sum = 0;
            constexpr int turns = 10;
            for (int turn = 0; turn < turns; ++turn) {
                our_sum += nanoseconds_each(each.ours, ours / turns + 1);
                their_sum += nanoseconds_each(each.theirs, theirs / turns + 1);
            }
            each.our_time.add(our_sum / turns);
            each.their_time.add(their_sum / turns);
        }
    }
}

std::string spread(const samples& of) {
    return number(of.median(), 1) + " (" + number(of.least(), 1) + " to " + number(of.most(), 1) +
           ")";
}

// The exit code.
int print(const std::vector<contest>& all, int runs) {
    table results{{"what", "bytes", "portico, ns", "libtirpc, ns", "times as fast"}};
    bool is_met = true;
    for (const auto& each : all) {
        const double ratio = each.their_time.median().value() / each.our_time.median().value();
        is_met = is_met && ratio > 1;
        results.add({each.what, std::to_string(each.size), spread(each.our_time),
                     spread(each.their_time), number(ratio, 1)});
    }
    std::cout << "### XDR\n\n"
              << where_and_when() << "; " << runs << " runs in turn, median (min to max); rival: "
              << version_of("dpkg-query -W -f '${Package} ${Version}\\n' libtirpc3")
              << " with the code of "
              << version_of("dpkg-query -W -f '${Package} ${Version}\\n' rpcsvc-proto") << ".\n\n"
              << results.text()
              << "\nThe bar: faster than libtirpc in each: " << (is_met ? "met" : "missed")
              << ".\n\n"
              << std::flush;
    return is_met ? 0 : 1;
}

int run(int runs, int milliseconds) {
    measurement reading{
        1234567890123,  42, -7, true, status::running, 0.5F, 3.25, "a thermometer", {},
        {1.0, 2.0, 3.0}};
    ::reading their_reading{};
    std::string name = reading.name;
    their_reading = {reading.time,  reading.sequence, reading.level, TRUE, STATE_RUNNING,
                     reading.ratio, reading.value,    name.data(),   {},   {1.0, 2.0, 3.0}};

    std::vector<std::int32_t> ints(1000);
    std::vector<double> doubles(1000);
    std::vector<std::string> words(200);
    std::vector<char*> their_words;
    for (std::size_t i = 0; i < ints.size(); ++i) {
        ints[i] = static_cast<std::int32_t>(i * 2654435761U);
        doubles[i] = static_cast<double>(ints[i]) / 3;
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
        words[i].assign(i * 37 % 61, 'x');
        their_words.push_back(words[i].data());
    }
    ::ints their_ints{static_cast<u_int>(ints.size()), ints.data()};
    ::doubles their_doubles{static_cast<u_int>(doubles.size()), doubles.data()};
    ::words their_word_list{static_cast<u_int>(words.size()), their_words.data()};

    std::vector<contest> all;
    add(all, "a struct of 10 mixed members", reading, their_reading, ::xdr_reading);
    add(all, "1,000 ints", ints, their_ints, ::xdr_ints);
    add(all, "1,000 doubles", doubles, their_doubles, ::xdr_doubles);
    add(all, "200 strings of 0 to 60 characters", words, their_word_list, ::xdr_words);
    measure(all, runs, milliseconds);
    return print(all, runs);
}

} // namespace
} // namespace portico::bench

int main(int argc, char** argv) {
    using portico::bench::option;
    try {
        return portico::bench::run(option(argc, argv, "runs", 5),
                                   option(argc, argv, "milliseconds", 50));
    } catch (const std::exception& why) {
        std::cerr << "bench_xdr: " << why.what() << '\n';
        return 111;
    }
}
