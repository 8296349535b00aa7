// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU: instructions by address, between the marks of bench.c.
 *
 * Each translated block counts how often it runs, times its instructions, in an
 * entry of its own, found again by its address. The marks are no-ops with an
 * address that is found nowhere else; where one is executed all counts are
 * looked at. At the end the file given as out= gets a line for each mark and
 * block: mark, address, instructions. tests/bench/profile makes functions of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

EXPORT int qemu_plugin_version = 1;

#define NR_MARKS	16
#define NR_BUCKETS	(1U << 18)

struct block {
	struct block *next;		/* in its bucket */
	uint64_t address, nr_insns;
	uint64_t count;			/* of instructions */
	uint64_t since;			/* the count at the mark */
	uint64_t sum[NR_MARKS];
};

static struct block *buckets[NR_BUCKETS];
static const char *out = "profile.tsv";

static struct block *block_at(uint64_t address, uint64_t nr_insns)
{
	struct block **bucket = &buckets[(address * 0x9e3779b97f4a7c15) >> 46];
	struct block *block;

	for (block = *bucket; block; block = block->next)
		if (block->address == address && block->nr_insns == nr_insns)
			return block;
	block = calloc(1, sizeof(*block));
	if (!block)
		abort();
	block->address = address;
	block->nr_insns = nr_insns;
	block->next = *bucket;
	*bucket = block;
	return block;
}

static void mark_begin(unsigned int vcpu, void *data)
{
	struct block *block;
	unsigned int i;

	(void)vcpu;
	(void)data;
	for (i = 0; i < NR_BUCKETS; i++)
		for (block = buckets[i]; block; block = block->next)
			block->since = block->count;
}

static void mark_end(unsigned int vcpu, void *data)
{
	uintptr_t mark = (uintptr_t)data;
	struct block *block;
	unsigned int i;

	(void)vcpu;
	for (i = 0; i < NR_BUCKETS; i++)
		for (block = buckets[i]; block; block = block->next)
			block->sum[mark] += block->count - block->since;
}

static void look_for_mark(struct qemu_plugin_insn *insn)
{
	uint32_t what = plugin_mark(insn), nr = what & 0xffff;

	if (!what || nr >= NR_MARKS)
		return;
	if (what >> 16 == 0x5eed)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, mark_begin, NO_REGS, NULL);
	else
		qemu_plugin_register_vcpu_insn_exec_cb(insn, mark_end, NO_REGS,
						       (void *)(uintptr_t)nr);
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i, nr = qemu_plugin_tb_n_insns(tb);
	struct block *block = block_at(qemu_plugin_tb_vaddr(tb), nr);

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &block->count, nr);
	for (i = 0; i < nr; i++)
		look_for_mark(qemu_plugin_tb_get_insn(tb, i));
}

static void finish(plugin_id id, void *data)
{
	FILE *f = fopen(out, "w");
	struct block *block;
	unsigned int i, k;

	(void)id;
	(void)data;
	if (!f)
		return;
	for (i = 0; i < NR_BUCKETS; i++)
		for (block = buckets[i]; block; block = block->next)
			for (k = 0; k < NR_MARKS; k++)
				if (block->sum[k])
					fprintf(f, "%u\t%016lx\t%lu\n", k,
						block->address, block->sum[k]);
	fclose(f);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
