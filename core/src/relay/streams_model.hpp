// Operation sequences on the machine of two byte streams, against a model of the two sockets.
#pragma once

#include "portico/relay/streams.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace portico::relay::test {

// One socket as the kernel shows it: what can be read, and how much room there is.
struct model_socket {
    std::uint64_t unread = 0;
    std::uint64_t room = 0;
    bool fin = false;   // behind `unread`
    bool reset = false; // behind `unread`
    bool got_fin = false;
    std::uint64_t got = 0;
};

// `Choices` has below(limit): a number from 0 to limit - 1.
template <class Choices>
class streams_model {
public:
    streams_model(Choices& choices, const limits& how) : random_{choices}, s_{how, instant{}} {}

    // What went wrong; empty when nothing did.
    std::string run(int steps) {
        for (int i = 0; i < steps && !over_; ++i) {
            something_happens();
            pump();
        }
        settle();
        return wrong_;
    }

private:
    void expect(bool holds, const char* otherwise) {
        if (!holds && wrong_.empty()) {
            wrong_ = otherwise;
            over_ = true;
        }
    }
    model_socket& of(end which) { return sockets_[static_cast<std::size_t>(which)]; }

    void something_happens() {
        const auto which = random_.below(2) == 0 ? end::client : end::target;
        auto& socket = of(which);
        switch (random_.below(8)) {
        case 0:
        case 1:
        case 2:
            if (!socket.fin && !socket.reset) {
                socket.unread += random_.below(5000);
                s_.handle_readable(which);
            }
            break;
        case 3:
        case 4:
        case 5:
            socket.room += random_.below(5000);
            s_.handle_writable(which);
            break;
        case 6:
            if (random_.below(4) == 0 && !socket.reset) {
                socket.fin = true;
                s_.handle_readable(which);
            }
            break;
        default:
            if (random_.below(30) == 0) {
                socket.reset = true;
                reset_ = true;
                s_.handle_failed(which);
            }
        }
    }

    void pump() {
        for (int turns = 0; !over_; ++turns) {
            expect(turns < 1000, "it spins");
            const auto what = s_.poll_step();
            switch (what) {
            case step::wait:
                return;
            case step::move_from_client:
                move(end::client);
                break;
            case step::move_from_target:
                move(end::target);
                break;
            case step::end_to_client:
                pass_end(end::client);
                break;
            case step::end_to_target:
                pass_end(end::target);
                break;
            default:
                handle_close(what);
            }
        }
    }

    void move(end which) {
        auto& source = of(which);
        auto& sink = of(other(which));
        moved did;
        std::uint64_t held = s_.held(which);
        if (held == 0) {
            did.received = static_cast<std::uint32_t>(std::min<std::uint64_t>(source.unread, 1000));
            source.unread -= did.received;
            held = did.received;
        }
        did.from = source.unread != 0 || held != 0 ? moved::source::more
                   : source.reset                  ? moved::source::failed
                   : source.fin                    ? moved::source::ended
                                                   : moved::source::drained;
        if (sink.reset) {
            did.to = moved::sink::failed;
        } else {
            did.sent = static_cast<std::uint32_t>(std::min(held, sink.room));
            sink.room -= did.sent;
            sink.got += did.sent;
            did.to = did.sent == held ? moved::sink::open : moved::sink::full;
        }
        expect(!sink.got_fin || did.sent == 0, "bytes behind the FIN");
        s_.handle_moved(instant{}, which, did);
    }

    void pass_end(end which) {
        const auto& source = of(other(which));
        expect(source.fin && source.unread == 0, "a FIN before its time");
        expect(s_.held(other(which)) == 0, "a FIN before what is held");
        expect(!of(which).got_fin, "a FIN twice");
        of(which).got_fin = true;
        s_.handle_end_passed(which);
    }

    void handle_close(step what) {
        over_ = true;
        if (what == step::close) {
            for (const auto each : {end::client, end::target}) {
                expect(of(each).unread == 0, "closed with bytes unread");
                expect(s_.held(each) == 0, "closed with bytes held");
                expect(of(each).fin || of(each).reset, "closed before the end");
                expect(s_.received(each) == s_.sent(other(each)), "bytes are missing");
                expect(of(each).got == s_.sent(each), "the counts are wrong");
            }
        } else {
            expect(reset_, "a reset that nobody sent");
        }
    }

    // When both read on and say that they are done, it ends.
    void settle() {
        for (int i = 0; i < 1000 && !over_; ++i) {
            for (const auto each : {end::client, end::target}) {
                of(each).fin = of(each).fin || !of(each).reset;
                of(each).room += 100000;
                s_.handle_readable(each);
                s_.handle_writable(each);
            }
            pump();
        }
        expect(over_, "it never ended");
    }

    Choices& random_;
    streams s_;
    std::array<model_socket, 2> sockets_{};
    bool reset_ = false;
    bool over_ = false;
    std::string wrong_;
};

} // namespace portico::relay::test
