// Another user on one thread alone. The C library changes the ids of all threads, the system calls
// those of one.

#include "portico/os/as_user.hpp"
#include "socket/call.hpp"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace portico::os {
namespace {

#ifdef SYS_setresuid32 // with numbers of 32 bits, where the older call has 16
constexpr long set_groups = SYS_setgroups32;
constexpr long set_group = SYS_setresgid32;
constexpr long set_user = SYS_setresuid32;
#else
constexpr long set_groups = SYS_setgroups;
constexpr long set_group = SYS_setresgid;
constexpr long set_user = SYS_setresuid;
#endif

struct errand {
    const new_identity& who;
    const std::function<void()>& what;
    int error = 0;
};

bool become(const new_identity& who) {
    return ::syscall(set_groups, who.groups.size(), who.groups.data()) == 0 &&
           ::syscall(set_group, who.group, who.group, who.group) == 0 &&
           ::syscall(set_user, who.user, who.user, who.user) == 0;
}

void* run(void* given) {
    auto& job = *static_cast<errand*>(given);
    // The kernel takes it from the whole process when a thread changes its user.
    const int dumpable = ::prctl(PR_GET_DUMPABLE);
    if (become(job.who)) {
        job.what();
    } else {
        job.error = errno;
    }
    if (dumpable == 1) {
        ::prctl(PR_SET_DUMPABLE, dumpable);
    }
    return nullptr;
}

} // namespace

sys_status as_user(const new_identity& who, const std::function<void()>& what) {
    errand job{who, what};
    pthread_t helper{};
    if (const int wrong = ::pthread_create(&helper, nullptr, run, &job); wrong != 0) {
        return failure(wrong);
    }
    ::pthread_join(helper, nullptr);
    return job.error == 0 ? sys_status{} : failure(job.error);
}

} // namespace portico::os
