// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Which line and symbol an address is.
 *
 * Addresses mean something with a list of the files that are mapped, and where (struct
 * mh_modules): taken when the addresses are, so that a library that is unloaded later is still
 * named. elfutils' libdw reads line tables and symbols out of these files. It is loaded when it is
 * first needed, and then stays: most programs never look. Without it there is what the dynamic
 * linker knows: an offset from a symbol that the file exports, or from its beginning, for
 * addr2line.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "trace.h"

/* ---- Modules ---- */

static char *mh_module_path(const char *name)
{
	char path[4096];
	ssize_t n;

	/* The program itself has no name here. */
	if (*name)
		return strdup(name);
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = 0;
	return strdup(path);
}

struct mh_modules_list {
	struct mh_modules *modules;
	size_t room;
};

static int mh_modules_add(struct dl_phdr_info *info, size_t size, void *data)
{
	struct mh_module module = { .bias = info->dlpi_addr, .from = UINTPTR_MAX };
	struct mh_modules_list *list = data;
	struct mh_modules *modules = list->modules;
	__typeof__(info->dlpi_phdr) phdr;
	unsigned int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		phdr = &info->dlpi_phdr[i];
		if (phdr->p_type != PT_LOAD)
			continue;
		module.from = mh_min(module.from, module.bias + phdr->p_vaddr);
		module.to = mh_max(module.to, module.bias + phdr->p_vaddr + phdr->p_memsz);
	}
	if (mh_grow((void **)&modules->modules, &list->room, modules->n + 1,
		    sizeof(*modules->modules)))
		return -ENOMEM;
	module.path = mh_module_path(info->dlpi_name);
	if (!module.path)
		return -ENOMEM;
	modules->modules[modules->n++] = module;
	return 0;
}

/*
 * mh_modules_get() - the files that are mapped now; for mh_modules_free(), in any case
 *
 * Return: 0 or -ENOMEM.
 */
int mh_modules_get(struct mh_modules *modules)
{
	struct mh_modules_list list = { .modules = modules };

	return dl_iterate_phdr(mh_modules_add, &list);
}

void mh_modules_free(struct mh_modules *modules)
{
	unsigned int i;

	for (i = 0; i < modules->n; i++)
		free(modules->modules[i].path);
	free(modules->modules);
}

static const struct mh_module *mh_module_of(const struct mh_modules *modules, uintptr_t address)
{
	unsigned int i;

	for (i = 0; i < modules->n; i++)
		if (address >= modules->modules[i].from && address < modules->modules[i].to)
			return &modules->modules[i];
	return NULL;
}

/* ---- libdw ---- */

/*
 * What is used of <elfutils/libdwfl.h>, with its handles as plain pointers: this is loaded, not
 * linked, so neither the library nor who builds it needs elfutils.
 */
struct mh_dw_callbacks {
	int (*find_elf)(void *module, void **data, const char *name, __u64 base, char **path,
			void **elf);
	void *find_debuginfo;
	void *section_address;
	char **debuginfo_path;
};

static struct {
	struct mh_dw_callbacks callbacks;
	void *(*begin)(const struct mh_dw_callbacks *callbacks);
	void (*end)(void *dwfl);
	void (*report_begin)(void *dwfl);
	void *(*report_elf)(void *dwfl, const char *name, const char *path, int fd, __u64 bias,
			    bool add_vaddr);
	int (*report_end)(void *dwfl, void *removed, void *arg);
	void *(*addrmodule)(void *dwfl, __u64 address);
	const char *(*addrname)(void *module, __u64 address);
	void *(*getsrc)(void *module, __u64 address);
	const char *(*lineinfo)(void *line, __u64 *address, int *lineno, int *column,
				__u64 *mtime, __u64 *length);
	bool there;
} mh_dw;

static bool mh_dw_get(void *library, const char *name, void *function)
{
	void *found = dlsym(library, name);

	memcpy(function, &found, sizeof(found));
	return found;
}

/* A module without a file is none: what it has is not known. */
static int mh_dw_no_elf(void *module, void **data, const char *name, __u64 base, char **path,
			void **elf)
{
	(void)module;
	(void)data;
	(void)name;
	(void)base;
	(void)path;
	(void)elf;
	return -1;
}

static void mh_dw_load(void)
{
	void *library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);

	mh_dw.there = library && mh_dw_get(library, "dwfl_begin", &mh_dw.begin) &&
		mh_dw_get(library, "dwfl_end", &mh_dw.end) &&
		mh_dw_get(library, "dwfl_report_begin", &mh_dw.report_begin) &&
		mh_dw_get(library, "dwfl_report_elf", &mh_dw.report_elf) &&
		mh_dw_get(library, "dwfl_report_end", &mh_dw.report_end) &&
		mh_dw_get(library, "dwfl_addrmodule", &mh_dw.addrmodule) &&
		mh_dw_get(library, "dwfl_module_addrname", &mh_dw.addrname) &&
		mh_dw_get(library, "dwfl_module_getsrc", &mh_dw.getsrc) &&
		mh_dw_get(library, "dwfl_lineinfo", &mh_dw.lineinfo) &&
		mh_dw_get(library, "dwfl_standard_find_debuginfo",
			  &mh_dw.callbacks.find_debuginfo) &&
		mh_dw_get(library, "dwfl_offline_section_address",
			  &mh_dw.callbacks.section_address);
	mh_dw.callbacks.find_elf = mh_dw_no_elf;
}

static void mh_dw_find(void *dwfl, uintptr_t address, struct mh_symbol *symbol)
{
	void *module = mh_dw.addrmodule(dwfl, address), *source;
	const char *file;
	int lineno = 0;

	if (!module)
		return;
	symbol->symbol = mh_dw.addrname(module, address);
	source = mh_dw.getsrc(module, address);
	file = source ? mh_dw.lineinfo(source, NULL, &lineno, NULL, NULL, NULL) : NULL;
	if (file && lineno > 0) {
		symbol->filename = file;
		symbol->lineno = lineno;
	}
}

/* ---- The dynamic linker ---- */

/* What is in parentheses of "FILE(SYMBOL+OFFSET) [ADDRESS]". */
static void mh_linker_find(uintptr_t address, struct mh_symbol *symbol)
{
	void *frame = (void *)address;
	char **texts = backtrace_symbols(&frame, 1);
	const char *from = texts ? strrchr(texts[0], '(') : NULL, *to = from;

	if (from)
		to = strchr(++from, ')');
	if (to && to > from) {
		snprintf(symbol->offset, sizeof(symbol->offset), "%.*s", (int)(to - from), from);
		symbol->symbol = symbol->offset;
	}
	free(texts);
}

/* ---- Either ---- */

/*
 * mh_symbols_begin() - look addresses of some modules up
 *
 * Return: for mh_symbol_find(), and mh_symbols_end(); NULL where little can be found.
 */
void *mh_symbols_begin(const struct mh_modules *modules)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const struct mh_module *module;
	unsigned int i;
	void *dwfl;

	pthread_once(&once, mh_dw_load);
	dwfl = mh_dw.there ? mh_dw.begin(&mh_dw.callbacks) : NULL;
	if (!dwfl)
		return NULL;
	mh_dw.report_begin(dwfl);
	for (i = 0; i < modules->n; i++) {
		module = &modules->modules[i];
		/* What has no file, as the kernel's own (vdso), is left out. */
		mh_dw.report_elf(dwfl, module->path, module->path, -1, module->bias, true);
	}
	mh_dw.report_end(dwfl, NULL, NULL);
	return dwfl;
}

void mh_symbols_end(void *symbols)
{
	if (symbols)
		mh_dw.end(symbols);
}

/*
 * mh_symbol_find() - what is known of an address
 *
 * @symbol is empty; its strings are there until mh_symbols_end(), or it goes.
 */
void mh_symbol_find(void *symbols, const struct mh_modules *modules, uintptr_t address,
		    struct mh_symbol *symbol)
{
	const struct mh_module *module = mh_module_of(modules, address);

	if (!module)
		return;
	if (symbols)
		mh_dw_find(symbols, address, symbol);
	else
		mh_linker_find(address, symbol);
	if (!symbol->filename)
		symbol->filename = module->path;
}
