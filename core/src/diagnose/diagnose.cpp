#include "portico/diagnose/diagnose.hpp"

#include "examiner.hpp"

#include "portico/ip/canonical.hpp"

#include <algorithm>

namespace portico::diagnose {

void examiner::find(finding what) {
    const bool again =
        std::any_of(made_.findings.begin(), made_.findings.end(), [&](const auto& each) {
            return each.what == what.what && each.sentence == what.sentence;
        });
    if (!again) {
        made_.findings.push_back(std::move(what));
    }
}

void examiner::exclude(cause what, std::string why) {
    if (std::none_of(made_.excluded.begin(), made_.excluded.end(),
                     [&](const auto& each) { return each.what == what; })) {
        made_.excluded.push_back({what, std::move(why)});
    }
}

void examiner::not_seen(std::string what) {
    auto& all = made_.unseen;
    if (std::find(all.begin(), all.end(), what) == all.end()) {
        all.push_back(std::move(what));
    }
}

bool examiner::found(cause what) const noexcept {
    return std::any_of(made_.findings.begin(), made_.findings.end(),
                       [&](const auto& each) { return each.what == what; });
}

diagnosis examiner::take() && {
    std::stable_sort(made_.findings.begin(), made_.findings.end(),
                     [](const auto& a, const auto& b) { return a.sure < b.sure; });
    std::erase_if(made_.excluded, [&](const auto& each) { return found(each.what); });
    return std::move(made_);
}

question settled(question asked) {
    for (auto& each : asked.places) {
        auto* at = std::get_if<ip::endpoint>(&each);
        if (at == nullptr || asked.what == act::bind) {
            continue;
        }
        *at = ip::canonical(*at);
        if (asked.what == act::connect && at->address.is_unspecified()) {
            at->address = ip::address::loopback(at->address.family());
        }
    }
    return asked;
}

diagnosis diagnose(const question& as_asked, const facts& known) {
    const auto asked = settled(as_asked);
    examiner work{asked, known};
    const auto* name =
        asked.places.empty() ? nullptr : std::get_if<ip::unix_name>(&asked.places.front());
    if (name != nullptr) {
        asked.what == act::bind ? examine_unix_bind(work, *name)
                                : examine_unix_connect(work, *name);
    } else if (asked.what == act::bind) {
        examine_bind(work);
    } else if (asked.what == act::accept) {
        examine_accept(work);
    } else {
        examine_connect(work);
    }
    return std::move(work).take();
}

} // namespace portico::diagnose
