#include "load.hpp"

#include "portico/os/clock.hpp"

#include "measure.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <thread>

#include <sys/socket.h>

namespace portico::bench::relay {
namespace {

constexpr std::size_t turns = 16; // writes or reads of one stream before it is others' turn
constexpr std::uint64_t without_end = std::numeric_limits<std::uint64_t>::max();

class bulk_load {
public:
    // `every`: of how many reads one is compared; `limit`: bytes of each stream.
    bulk_load(const content& is, std::uint16_t port, direction way, std::uint64_t every,
              std::uint64_t limit)
        : is_{is}, file_{is.file()}, route_{port}, way_{way}, every_{every}, limit_{limit},
          room_(256 * 1024) {}

    outcome run(duration time, const probe& of) {
        const meter measured{of};
        stop_ = measured.begun() + time;
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            begin(i);
        }
        while (open_ > 0) {
            const auto now = os::now();
            if (now >= stop_) {
                stop_all();
            }
            if (now >= stop_ + patience) {
                break; // it still has bytes, but it does not get rid of them
            }
            if (open_ == 0) {
                break;
            }
            turn(now < stop_ ? stop_ - now : stop_ + patience - now);
        }
        for (auto& each : streams_) {
            if (each.socket) {
                end(each, &result_.failed);
            }
        }
        result_.seconds = seconds(os::now() - measured.begun());
        measured.stop(result_);
        if (way_ == direction::to_target) {
            judge();
        }
        result_.all = result_.amount;
        return result_;
    }

private:
    struct stream {
        os::fd socket{};
        std::optional<content_sender> sender{};
        std::optional<content_reader> reader{};
        bool ordered = false;
        bool half_closed = false;
        bool given_up = false; // counted as failed or lost already
        bool more = false;     // it was not the socket that made us stop
        verdict said{};
        std::size_t said_bytes = 0;
    };

    void begin(std::size_t which) {
        auto& self = streams_[which];
        self.socket = route_.connect(which);
        if (!self.socket) {
            ++result_.failed;
            return;
        }
        events_.add(self.socket.raw(), which, EPOLLIN | EPOLLOUT);
        const auto start = which * 100'003;
        if (way_ == direction::to_target) {
            self.sender.emplace(file_.raw(), start);
        } else {
            self.reader.emplace(is_, start, every_);
        }
        ++open_;
    }

    void turn(duration most) {
        const bool more = std::any_of(streams_.begin(), streams_.end(),
                                      [](const stream& each) { return each.socket && each.more; });
        for (const auto& each : events_.wait(more ? duration{} : most)) {
            streams_[each.data.u64].more = true;
        }
        for (auto& each : streams_) {
            if (each.socket && each.more) {
                go_on(each);
            }
        }
    }

    void go_on(stream& self) {
        if (!self.ordered && !send_order(self)) {
            return;
        }
        if (way_ == direction::to_client) {
            receive(self);
            return;
        }
        send(self);
        if (self.socket && self.half_closed) {
            receive_verdict(self);
        }
    }

    bool send_order(stream& self) {
        const auto which = static_cast<std::uint64_t>(&self - streams_.data());
        const auto what = way_ == direction::to_target ? mode::sink : mode::source;
        const order wanted{static_cast<std::uint64_t>(what), which * 100'003, limit_, every_,
                           which};
        const auto sent = ::send(self.socket.raw(), &wanted, sizeof wanted, MSG_NOSIGNAL);
        self.ordered = sent == sizeof wanted;
        self.more = self.ordered;
        if (!self.ordered && errno != EAGAIN) {
            end(self, &result_.failed);
        }
        return self.ordered;
    }

    void send(stream& self) {
        for (std::size_t i = 0; i < turns && !self.half_closed; ++i) {
            const auto left = limit_ - self.sender->bytes();
            if (left == 0) {
                half_close(self);
                return;
            }
            const auto how = self.sender->send(self.socket.raw(), left);
            if (how == went::reset) {
                end(self, &result_.failed);
                return;
            }
            self.more = how == went::on;
            if (!self.more) {
                return;
            }
        }
    }

    static void half_close(stream& self) {
        self.half_closed = true;
        ::shutdown(self.socket.raw(), SHUT_WR);
    }

    // The origin tells how much it got, once we have closed our half; not all relays let it.
    void receive_verdict(stream& self) {
        self.more = false;
        auto* into = reinterpret_cast<std::byte*>(&self.said);
        const auto size = ::recv(self.socket.raw(), into + self.said_bytes,
                                 sizeof self.said - self.said_bytes, 0);
        if (size < 0 && errno == EAGAIN) {
            return;
        }
        self.said_bytes += static_cast<std::size_t>(std::max<ssize_t>(size, 0));
        if (size > 0 && self.said_bytes < sizeof self.said) {
            self.more = true;
            return;
        }
        end(self, nullptr);
    }

    // The origin is asked without the relay; what came back by it is compared.
    void judge() {
        for (int i = 0; i < 500 && ask_origin(origin_port).open > 0; ++i) {
            throw_if_interrupted();
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
        const auto all = ask_verdicts(origin_port);
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            const auto& self = streams_[i];
            if (!self.sender || self.given_up) {
                continue;
            }
            const bool whole = all[i].wrong == 0 && all[i].bytes == self.sender->bytes();
            const bool answered = self.said_bytes == sizeof self.said &&
                                  self.said.bytes == all[i].bytes &&
                                  self.said.wrong == all[i].wrong;
            result_.amount += static_cast<double>(all[i].bytes);
            result_.lost += whole ? 0U : 1U;
            result_.unanswered += whole && !answered ? 1U : 0U;
        }
    }

    void receive(stream& self) {
        for (std::size_t i = 0; i < turns; ++i) {
            const auto how = self.reader->read(self.socket.raw(), room_);
            self.more = how == went::on;
            if (how == went::wrong) {
                end(self, &result_.lost);
            } else if (how == went::reset) {
                end(self, &result_.failed);
            } else if (how == went::ended) {
                result_.amount += static_cast<double>(self.reader->bytes());
                end(self, self.reader->bytes() == limit_ ? nullptr : &result_.lost);
            }
            if (how != went::on) {
                return;
            }
        }
    }

    // The time is over.
    void stop_all() {
        for (auto& each : streams_) {
            if (!each.socket) {
                continue;
            }
            if (way_ == direction::to_client) {
                result_.amount += static_cast<double>(each.reader->bytes());
                close_by_reset(each.socket);
                --open_;
            } else if (!each.half_closed) {
                half_close(each);
            }
        }
    }

    void end(stream& self, std::uint64_t* why) {
        self.socket.reset();
        self.more = false;
        self.given_up = why != nullptr;
        --open_;
        if (why != nullptr) {
            ++*why;
        }
    }

    const content& is_;
    os::fd file_;
    route route_;
    direction way_;
    std::uint64_t every_;
    std::uint64_t limit_;
    events events_;
    std::vector<std::byte> room_;
    std::array<stream, bulk_streams> streams_{};
    std::size_t open_ = 0;
    instant stop_{};
    outcome result_{};
};

} // namespace

outcome bulk(const content& is, std::uint16_t port, direction way, duration time, const probe& of) {
    return bulk_load{is, port, way, 16, without_end}.run(time, of);
}

outcome check(const content& is, std::uint16_t port, direction way, std::uint64_t bytes) {
    const probe none{[] { return 0.0; }, {}, [] { return 0.0; }};
    auto went = bulk_load{is, port, way, 1, bytes}.run(std::chrono::seconds{30}, none);
    const bool whole = went.amount == static_cast<double>(bytes * bulk_streams);
    went.lost += went.failed + (whole ? 0U : 1U);
    return went;
}

} // namespace portico::bench::relay
