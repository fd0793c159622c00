#include "portico/diagnose/diagnose.hpp"

#include "examiner.hpp"

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

diagnosis diagnose(const question& asked, const facts& known) {
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
