#include "flags/text_file.hpp"

#include "portico/os/fd.hpp"
#include "portico/os/socket.hpp"

#include <cerrno>
#include <fcntl.h>
#include <span>
#include <sys/stat.h>
#include <system_error>

namespace portico::app {
namespace {

constexpr std::size_t longest = 1 << 20;

} // namespace

tl::expected<std::string, std::string> read_text_file(const std::string& path) {
    const auto no = [&path](const std::string& why) { return tl::unexpected{path + ": " + why}; };
    // O_NONBLOCK: a FIFO is not waited for. O_NOCTTY: a terminal is not taken.
    const os::fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    struct stat facts {};
    if (!file || ::fstat(file.raw(), &facts) != 0) {
        return no(std::error_code{errno, std::system_category()}.message());
    }
    if (!S_ISREG(facts.st_mode)) {
        return no(S_ISDIR(facts.st_mode) ? "it is a directory" : "it is no regular file");
    }
    std::string text(longest + 1, '\0');
    std::size_t have = 0;
    while (have < text.size()) {
        const auto got =
            os::read(file.raw(), std::as_writable_bytes(std::span{text}.subspan(have)));
        if (!got) {
            return no(got.error().message());
        }
        if (*got == 0) {
            break;
        }
        have += *got;
    }
    if (have > longest) {
        return no("it is larger than 1 MiB");
    }
    text.resize(have);
    return text;
}

} // namespace portico::app
