/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's static busybox.  An ELF program is static if it has no PT_INTERP segment, elf(5). */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "os/host.h"

static bool
is_static(const char *path)
{
	_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ElfW(Ehdr) eh;

	if (fd < 0 || pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		return false;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		ElfW(Phdr) ph;

		if (pread(fd, &ph, sizeof(ph), (off_t)(eh.e_phoff + (size_t)i * eh.e_phentsize)) !=
			sizeof(ph) ||
		    ph.p_type == PT_INTERP)
			return false;
	}
	return true;
}

const char *
os_busybox(void)
{
	static const char *const places[] = {"/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static",
					     "/usr/lib/initramfs-tools/bin/busybox",
					     "/usr/local/bin/busybox"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (is_static(places[i]))
			return places[i];
	return NULL;
}
