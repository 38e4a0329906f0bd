/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lists.  Allowed is what services, language runtimes and package tools use.  Denied is what reaches
 * something that no namespace isolates, what could undo the jail's mounts and namespaces, and what containers
 * were escaped by again and again while services do without it.
 */
#include <seccomp.h>
#include <sys/syscall.h>

#include "base/mem.h"
#include "os/linux/confine/calls.h"

/* Calls that older libseccomps have no name for: from 424 on a number is the same on every architecture. */
#define NR_quotactl_fd 443
#define NR_landlock_create_ruleset 444
#define NR_landlock_add_rule 445
#define NR_landlock_restrict_self 446
#define NR_memfd_secret 447
#define NR_process_mrelease 448
#define NR_futex_waitv 449
#define NR_set_mempolicy_home_node 450
#define NR_cachestat 451
#define NR_fchmodat2 452
#define NR_map_shadow_stack 453
#define NR_futex_wake 454
#define NR_futex_wait 455
#define NR_futex_requeue 456
#define NR_statmount 457
#define NR_listmount 458
#define NR_lsm_get_self_attr 459
#define NR_lsm_set_self_attr 460
#define NR_lsm_list_modules 461
#define NR_mseal 462
#define NR_setxattrat 463
#define NR_getxattrat 464
#define NR_listxattrat 465
#define NR_removexattrat 466
#define NR_open_tree_attr 467
#define NR_file_getattr 468
#define NR_file_setattr 469

/* Files, directories, descriptors. */
static const int files_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(preadv2),
    SCMP_SYS(pwritev2),
    SCMP_SYS(lseek),
    SCMP_SYS(_llseek),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(openat2),
    SCMP_SYS(creat),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(stat),
    SCMP_SYS(fstat),
    SCMP_SYS(lstat),
    SCMP_SYS(stat64),
    SCMP_SYS(fstat64),
    SCMP_SYS(lstat64),
    SCMP_SYS(fstatat64),
    SCMP_SYS(newfstatat),
    SCMP_SYS(oldstat),
    SCMP_SYS(oldfstat),
    SCMP_SYS(oldlstat),
    SCMP_SYS(statx),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(fcntl),
    SCMP_SYS(fcntl64),
    SCMP_SYS(flock),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(sync),
    SCMP_SYS(syncfs),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(sync_file_range2),
    SCMP_SYS(arm_sync_file_range),
    SCMP_SYS(truncate),
    SCMP_SYS(truncate64),
    SCMP_SYS(ftruncate),
    SCMP_SYS(ftruncate64),
    SCMP_SYS(fallocate),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fadvise64_64),
    SCMP_SYS(arm_fadvise64_64),
    SCMP_SYS(readahead),
    SCMP_SYS(getdents),
    SCMP_SYS(getdents64),
    SCMP_SYS(readdir),
    SCMP_SYS(getcwd),
    SCMP_SYS(chdir),
    SCMP_SYS(fchdir),
    SCMP_SYS(chroot),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(symlink),
    SCMP_SYS(symlinkat),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(chown),
    SCMP_SYS(chown32),
    SCMP_SYS(fchown),
    SCMP_SYS(fchown32),
    SCMP_SYS(lchown),
    SCMP_SYS(lchown32),
    SCMP_SYS(fchownat),
    SCMP_SYS(umask),
    SCMP_SYS(utime),
    SCMP_SYS(utimes),
    SCMP_SYS(utimensat),
    SCMP_SYS(utimensat_time64),
    SCMP_SYS(futimesat),
    SCMP_SYS(statfs),
    SCMP_SYS(statfs64),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fstatfs64),
    SCMP_SYS(sendfile),
    SCMP_SYS(sendfile64),
    SCMP_SYS(splice),
    SCMP_SYS(tee),
    SCMP_SYS(vmsplice),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(memfd_create),
    SCMP_SYS(getxattr),
    SCMP_SYS(lgetxattr),
    SCMP_SYS(fgetxattr),
    SCMP_SYS(setxattr),
    SCMP_SYS(lsetxattr),
    SCMP_SYS(fsetxattr),
    SCMP_SYS(listxattr),
    SCMP_SYS(llistxattr),
    SCMP_SYS(flistxattr),
    SCMP_SYS(removexattr),
    SCMP_SYS(lremovexattr),
    SCMP_SYS(fremovexattr),
    NR_cachestat,
    NR_fchmodat2,
    NR_setxattrat,
    NR_getxattrat,
    NR_listxattrat,
    NR_removexattrat,
    NR_file_getattr,
    NR_file_setattr,
    NR_statmount,
    NR_listmount,
    SCMP_SYS(inotify_init),
    SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_add_watch),
    SCMP_SYS(inotify_rm_watch),
    SCMP_SYS(io_setup),
    SCMP_SYS(io_destroy),
    SCMP_SYS(io_submit),
    SCMP_SYS(io_cancel),
    SCMP_SYS(io_getevents),
    SCMP_SYS(io_pgetevents),
    SCMP_SYS(io_pgetevents_time64),
};
/* Waiting, time. */
static const int waiting_calls[] = {
    SCMP_SYS(select),
    SCMP_SYS(_newselect),
    SCMP_SYS(pselect6),
    SCMP_SYS(pselect6_time64),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(ppoll_time64),
    SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd),
    SCMP_SYS(eventfd2),
    SCMP_SYS(signalfd),
    SCMP_SYS(signalfd4),
    SCMP_SYS(timerfd),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_settime64),
    SCMP_SYS(timerfd_gettime),
    SCMP_SYS(timerfd_gettime64),
    SCMP_SYS(timer_create),
    SCMP_SYS(timer_delete),
    SCMP_SYS(timer_settime),
    SCMP_SYS(timer_settime64),
    SCMP_SYS(timer_gettime),
    SCMP_SYS(timer_gettime64),
    SCMP_SYS(timer_getoverrun),
    SCMP_SYS(alarm),
    SCMP_SYS(getitimer),
    SCMP_SYS(setitimer),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_nanosleep_time64),
    SCMP_SYS(time),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_gettime64),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_getres_time64),
    SCMP_SYS(times),
    SCMP_SYS(pause),
};
/* Memory. */
static const int memory_calls[] = {
    SCMP_SYS(brk),           SCMP_SYS(mmap),       SCMP_SYS(mmap2),
    SCMP_SYS(munmap),        SCMP_SYS(mremap),     SCMP_SYS(mprotect),
    SCMP_SYS(pkey_mprotect), SCMP_SYS(pkey_alloc), SCMP_SYS(pkey_free),
    SCMP_SYS(madvise),       SCMP_SYS(mincore),    SCMP_SYS(msync),
    SCMP_SYS(mlock),         SCMP_SYS(mlock2),     SCMP_SYS(mlockall),
    SCMP_SYS(munlock),       SCMP_SYS(munlockall), SCMP_SYS(remap_file_pages),
    SCMP_SYS(membarrier),    NR_map_shadow_stack,  NR_mseal,
};
/* Processes, threads, signals, users, limits, scheduling. */
static const int processes_calls[] = {
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
    SCMP_SYS(waitpid),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(futex),
    SCMP_SYS(futex_time64),
    NR_futex_waitv,
    NR_futex_wake,
    NR_futex_wait,
    NR_futex_requeue,
    SCMP_SYS(rseq),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(tgkill),
    SCMP_SYS(signal),
    SCMP_SYS(sigaction),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(sigpending),
    SCMP_SYS(sigprocmask),
    SCMP_SYS(sigreturn),
    SCMP_SYS(sigsuspend),
    SCMP_SYS(sgetmask),
    SCMP_SYS(ssetmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigsuspend),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(rt_sigtimedwait_time64),
    SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_send_signal),
    NR_process_mrelease,
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(gettid),
    SCMP_SYS(getpgid),
    SCMP_SYS(getpgrp),
    SCMP_SYS(setpgid),
    SCMP_SYS(getsid),
    SCMP_SYS(setsid),
    SCMP_SYS(getuid),
    SCMP_SYS(getuid32),
    SCMP_SYS(geteuid),
    SCMP_SYS(geteuid32),
    SCMP_SYS(getgid),
    SCMP_SYS(getgid32),
    SCMP_SYS(getegid),
    SCMP_SYS(getegid32),
    SCMP_SYS(getresuid),
    SCMP_SYS(getresuid32),
    SCMP_SYS(getresgid),
    SCMP_SYS(getresgid32),
    SCMP_SYS(getgroups),
    SCMP_SYS(getgroups32),
    SCMP_SYS(setuid),
    SCMP_SYS(setuid32),
    SCMP_SYS(setgid),
    SCMP_SYS(setgid32),
    SCMP_SYS(setreuid),
    SCMP_SYS(setreuid32),
    SCMP_SYS(setregid),
    SCMP_SYS(setregid32),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresuid32),
    SCMP_SYS(setresgid),
    SCMP_SYS(setresgid32),
    SCMP_SYS(setfsuid),
    SCMP_SYS(setfsuid32),
    SCMP_SYS(setfsgid),
    SCMP_SYS(setfsgid32),
    SCMP_SYS(setgroups),
    SCMP_SYS(setgroups32),
    SCMP_SYS(capget),
    SCMP_SYS(capset),
    SCMP_SYS(prctl),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(set_thread_area),
    SCMP_SYS(get_thread_area),
    SCMP_SYS(seccomp),
    NR_landlock_create_ruleset,
    NR_landlock_add_rule,
    NR_landlock_restrict_self,
    NR_lsm_get_self_attr,
    NR_lsm_list_modules,
    SCMP_SYS(getrlimit),
    SCMP_SYS(ugetrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(getpriority),
    SCMP_SYS(setpriority),
    SCMP_SYS(nice),
    SCMP_SYS(ioprio_get),
    SCMP_SYS(ioprio_set),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getattr),
    SCMP_SYS(sched_setattr),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_setparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(sched_setscheduler),
    SCMP_SYS(sched_get_priority_max),
    SCMP_SYS(sched_get_priority_min),
    SCMP_SYS(sched_rr_get_interval),
    SCMP_SYS(sched_rr_get_interval_time64),
    SCMP_SYS(getcpu),
    SCMP_SYS(uname),
    SCMP_SYS(olduname),
    SCMP_SYS(oldolduname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrandom),
};
/* Sockets, System V and POSIX IPC. */
static const int talking_calls[] = {
    SCMP_SYS(bind),
    SCMP_SYS(connect),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(send),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recv),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(recvmmsg_time64),
    SCMP_SYS(ipc),
    SCMP_SYS(msgget),
    SCMP_SYS(msgsnd),
    SCMP_SYS(msgrcv),
    SCMP_SYS(msgctl),
    SCMP_SYS(semget),
    SCMP_SYS(semop),
    SCMP_SYS(semctl),
    SCMP_SYS(semtimedop),
    SCMP_SYS(semtimedop_time64),
    SCMP_SYS(shmget),
    SCMP_SYS(shmat),
    SCMP_SYS(shmdt),
    SCMP_SYS(shmctl),
    SCMP_SYS(mq_open),
    SCMP_SYS(mq_unlink),
    SCMP_SYS(mq_timedsend),
    SCMP_SYS(mq_timedsend_time64),
    SCMP_SYS(mq_timedreceive),
    SCMP_SYS(mq_timedreceive_time64),
    SCMP_SYS(mq_notify),
    SCMP_SYS(mq_getsetattr),
};
/* What single architectures need to run a program at all. */
static const int machine_calls[] = {
    SCMP_SYS(breakpoint),
    SCMP_SYS(cacheflush),
    SCMP_SYS(set_tls),
    SCMP_SYS(get_tls),
    SCMP_SYS(riscv_flush_icache),
    SCMP_SYS(s390_runtime_instr),
    SCMP_SYS(s390_guarded_storage),
    SCMP_SYS(swapcontext),
};
/* Mounts, namespaces, files by handle: they could undo what makes the jail. */
static const int mounts_calls[] = {
    SCMP_SYS(mount),
    SCMP_SYS(umount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(open_tree),
    NR_open_tree_attr,
    SCMP_SYS(move_mount),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(setns),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at),
};
/* The machine and its clock: no namespace isolates them. */
static const int host_calls[] = {
    SCMP_SYS(reboot),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    NR_quotactl_fd,
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(vhangup),
    SCMP_SYS(fanotify_init),
    SCMP_SYS(fanotify_mark),
    SCMP_SYS(settimeofday),
    SCMP_SYS(stime),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_settime64),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(clock_adjtime64),
    SCMP_SYS(pciconfig_iobase),
    SCMP_SYS(pciconfig_read),
    SCMP_SYS(pciconfig_write),
    SCMP_SYS(s390_pci_mmio_read),
    SCMP_SYS(s390_pci_mmio_write),
    SCMP_SYS(s390_sthyi),
    SCMP_SYS(rtas),
};
/* Large parts of the kernel that services do without, and that containers were escaped by before. */
static const int risky_calls[] = {
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    NR_memfd_secret,
    SCMP_SYS(modify_ldt),
    SCMP_SYS(vm86),
    SCMP_SYS(vm86old),
    NR_lsm_set_self_attr,
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(sysfs),
    SCMP_SYS(ustat),
    SCMP_SYS(uselib),
    SCMP_SYS(subpage_prot),
    SCMP_SYS(spu_create),
    SCMP_SYS(spu_run),
    SCMP_SYS(sys_debug_setcontext),
};
/* clone3 has its flags behind a pointer, socketcall and multiplexer all arguments, where a filter cannot
 * see them: C libraries fall back on clone and socket.  The others are names without a call, or no kernel
 * of today has it. */
static const int absent_calls[] = {
    SCMP_SYS(clone3),
    SCMP_SYS(socketcall),
    SCMP_SYS(multiplexer),
    SCMP_SYS(syscall),
    SCMP_SYS(_sysctl),
    SCMP_SYS(create_module),
    SCMP_SYS(query_module),
    SCMP_SYS(get_kernel_syms),
    SCMP_SYS(nfsservctl),
    SCMP_SYS(afs_syscall),
    SCMP_SYS(tuxcall),
    SCMP_SYS(security),
    SCMP_SYS(vserver),
    SCMP_SYS(getpmsg),
    SCMP_SYS(putpmsg),
    SCMP_SYS(epoll_ctl_old),
    SCMP_SYS(epoll_wait_old),
    SCMP_SYS(bdflush),
    SCMP_SYS(break),
    SCMP_SYS(ftime),
    SCMP_SYS(gtty),
    SCMP_SYS(stty),
    SCMP_SYS(idle),
    SCMP_SYS(lock),
    SCMP_SYS(mpx),
    SCMP_SYS(prof),
    SCMP_SYS(profil),
    SCMP_SYS(ulimit),
    SCMP_SYS(usr26),
    SCMP_SYS(usr32),
    SCMP_SYS(cachectl),
    SCMP_SYS(sysmips),
    SCMP_SYS(switch_endian),
};
static const int clone_calls[] = {
    SCMP_SYS(clone),
};
static const int unshare_calls[] = {
    SCMP_SYS(unshare),
};
static const int personality_calls[] = {
    SCMP_SYS(personality),
};
static const int ioctl_calls[] = {
    SCMP_SYS(ioctl),
};
static const int socket_calls[] = {
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
};
static const int setrlimit_calls[] = {
    SCMP_SYS(setrlimit),
};
static const int prlimit_calls[] = {
    SCMP_SYS(prlimit64),
};
/* Other processes' memory and descriptors. */
static const int debug_calls[] = {
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
    SCMP_SYS(kcmp),   SCMP_SYS(pidfd_getfd),
};
static const int hostname_calls[] = {
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
};
static const int msgbuf_calls[] = {
    SCMP_SYS(syslog),
};
static const int io_uring_calls[] = {
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
};
/* The kernel's keyrings, which are separated by user id only. */
static const int keyring_calls[] = {
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
};
static const int numa_calls[] = {
    SCMP_SYS(get_mempolicy), SCMP_SYS(set_mempolicy), NR_set_mempolicy_home_node,
    SCMP_SYS(mbind),         SCMP_SYS(migrate_pages), SCMP_SYS(move_pages),
};

#ifdef __x86_64__
/* uretprobe and uprobe: called by the kernel's own trampolines, when the host traces a program of the
 * jail. */
static const int traced_calls[] = {335, 336};
#endif

#define GROUP(rule, list)                   \
	{                                   \
		rule, list, ARRAY_LEN(list) \
	}
const struct call_group call_groups[] = {
    GROUP(CALL_ALLOW, files_calls),
    GROUP(CALL_ALLOW, waiting_calls),
    GROUP(CALL_ALLOW, memory_calls),
    GROUP(CALL_ALLOW, processes_calls),
    GROUP(CALL_ALLOW, talking_calls),
    GROUP(CALL_ALLOW, machine_calls),
    GROUP(CALL_DENY, mounts_calls),
    GROUP(CALL_DENY, host_calls),
    GROUP(CALL_DENY, risky_calls),
    GROUP(CALL_ABSENT, absent_calls),
    GROUP(CALL_CLONE, clone_calls),
    GROUP(CALL_UNSHARE, unshare_calls),
    GROUP(CALL_PERSONALITY, personality_calls),
    GROUP(CALL_IOCTL, ioctl_calls),
    GROUP(CALL_SOCKET, socket_calls),
    GROUP(CALL_SETRLIMIT, setrlimit_calls),
    GROUP(CALL_PRLIMIT, prlimit_calls),
    GROUP(CALL_DEBUG, debug_calls),
    GROUP(CALL_HOSTNAME, hostname_calls),
    GROUP(CALL_MSGBUF, msgbuf_calls),
    GROUP(CALL_IO_URING, io_uring_calls),
    GROUP(CALL_KEYRING, keyring_calls),
    GROUP(CALL_NUMA, numa_calls),
#ifdef __x86_64__
    GROUP(CALL_ALLOW, traced_calls),
#endif
};
const size_t call_groups_len = ARRAY_LEN(call_groups);

enum call_rule
call_rule(int nr)
{
	for (size_t i = 0; i < call_groups_len; i++)
		for (size_t k = 0; k < call_groups[i].n; k++)
			if (call_groups[i].nr[k] == nr)
				return call_groups[i].rule;
	return CALL_UNKNOWN;
}
