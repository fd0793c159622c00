#include "load.hpp"

#include "measure.hpp"

#include "portico/os/clock.hpp"

namespace portico::bench::relay {

meter::meter(const probe& of)
    : of_{&of}, begun_{os::now()}, cpu_{of.cpu()}, load_cpu_{of.load_cpu()} {}

void meter::stop(outcome& into) const {
    const auto took = seconds(os::now() - begun_);
    into.cpu = of_->cpu() - cpu_;
    into.busy = into.cpu / took;
    into.load_busy = (of_->load_cpu() - load_cpu_) / took / of_->load_processors;
}

} // namespace portico::bench::relay
