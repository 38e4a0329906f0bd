/* SPDX-License-Identifier: BSD-2-Clause */
/* What a jail may do with each call, a second time: one that goes from one list of calls.c to another is a decision,
 * and no slip.  Names are those of the headers and of libseccomp. */
{CALL_ALLOW,
 "_llseek _newselect accept accept4 access alarm arch_prctl arm_fadvise64_64 arm_sync_file_range "
 "bind breakpoint brk cacheflush cachestat capget capset chdir chmod chown chown32 chroot "
 "clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
 "clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 "
 "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 "
 "execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir "
 "fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr "
 "file_getattr file_setattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 "
 "fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait "
 "futex_waitv futex_wake futimesat get_robust_list get_thread_area get_tls getcpu getcwd getdents "
 "getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer "
 "getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 "
 "getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday "
 "getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 "
 "inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup "
 "io_submit ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset "
 "landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr "
 "listxattrat llistxattr lremovexattr lseek lsetxattr lsm_get_self_attr lsm_list_modules lstat "
 "lstat64 madvise map_shadow_stack membarrier memfd_create mincore mkdir mkdirat mknod mknodat "
 "mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive "
 "mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget "
 "msgrcv msgsnd msync munlock munlockall munmap nanosleep newfstatat nice oldfstat oldlstat "
 "oldolduname oldstat olduname open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 "
 "pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 "
 "process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readdir "
 "readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages "
 "removexattr removexattrat rename renameat renameat2 restart_syscall riscv_flush_icache rmdir "
 "rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
 "rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo s390_guarded_storage "
 "s390_runtime_instr sched_get_priority_max sched_get_priority_min sched_getaffinity "
 "sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
 "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler "
 "sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile "
 "sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address set_tls "
 "setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid "
 "setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 "
 "setsid setsockopt setuid setuid32 setxattr setxattrat sgetmask shmat shmctl shmdt shmget "
 "shutdown sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn "
 "sigsuspend splice ssetmask stat stat64 statfs statfs64 statmount statx swapcontext symlink "
 "symlinkat sync sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time timer_create "
 "timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 "
 "timerfd timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 "
 "times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat utime utimensat "
 "utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev "},
{CALL_DENY,
 "acct adjtimex bpf clock_adjtime clock_adjtime64 clock_settime clock_settime64 delete_module "
 "fanotify_init fanotify_mark finit_module fsconfig fsmount fsopen fspick init_module ioperm iopl "
 "kexec_file_load kexec_load lookup_dcookie lsm_set_self_attr memfd_secret modify_ldt mount "
 "mount_setattr move_mount name_to_handle_at open_by_handle_at open_tree open_tree_attr "
 "pciconfig_iobase pciconfig_read pciconfig_write perf_event_open pivot_root quotactl quotactl_fd "
 "reboot rtas s390_pci_mmio_read s390_pci_mmio_write s390_sthyi setns settimeofday spu_create "
 "spu_run stime subpage_prot swapoff swapon sys_debug_setcontext sysfs umount umount2 uselib "
 "userfaultfd ustat vhangup vm86 vm86old "},
{CALL_ABSENT,
 "_sysctl afs_syscall bdflush break cachectl clone3 create_module epoll_ctl_old epoll_wait_old "
 "ftime get_kernel_syms getpmsg gtty idle lock mpx multiplexer nfsservctl prof profil putpmsg "
 "query_module security socketcall stty switch_endian syscall sysmips tuxcall ulimit usr26 usr32 "
 "vserver "},
{CALL_CLONE,
 "clone "},
{CALL_UNSHARE,
 "unshare "},
{CALL_PERSONALITY,
 "personality "},
{CALL_IOCTL,
 "ioctl "},
{CALL_SOCKET,
 "socket socketpair "},
{CALL_SETRLIMIT,
 "setrlimit "},
{CALL_PRLIMIT,
 "prlimit64 "},
{CALL_DEBUG,
 "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace "},
{CALL_HOSTNAME,
 "setdomainname sethostname "},
{CALL_MSGBUF,
 "syslog "},
{CALL_IO_URING,
 "io_uring_enter io_uring_register io_uring_setup "},
{CALL_KEYRING,
 "add_key keyctl request_key "},
{CALL_NUMA,
 "get_mempolicy mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node "},
