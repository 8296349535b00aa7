// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU: which block ran when, and on which stack.
 *
 * Between marks (bench.c, MARK_TRACE) each translated block that runs leaves a word
 * in the file given as out=: its number times two. The numbers are in the same order
 * in the file's twin, <out>.blocks: address and number of instructions of each. A
 * word that is odd is a change of stack: what the kernel pushed to and popped from
 * tells, and each task has 16 KiB of its own, aligned. A word of all ones ends what
 * is between two marks. tests/bench/holds.c makes lock times of it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

EXPORT int qemu_plugin_version = 1;

#define MARK_TRACE	0x100
#define END		UINT32_MAX

static FILE *words, *blocks;
static uint32_t nr_blocks;
static bool on;
static uint64_t stack;

static void put(uint32_t word)
{
	if (words)
		fwrite(&word, sizeof(word), 1, words);
}

static void executed(unsigned int vcpu, void *data)
{
	(void)vcpu;
	if (on)
		put((uint32_t)(uintptr_t)data << 1);
}

static void on_stack(unsigned int vcpu, uint32_t info, uint64_t address, void *data)
{
	(void)vcpu;
	(void)info;
	(void)data;
	/* 30 bits are enough to tell one from the other. */
	address = address >> 14 & 0x3fffffff;
	if (address == stack)
		return;
	stack = address;
	if (on)
		put((uint32_t)stack << 1 | 1);
}

static void mark_begin(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	on = true;
	stack = 0;
}

static void mark_end(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	on = false;
	put(END);
}

static void look_for_mark(struct qemu_plugin_insn *insn)
{
	uint32_t what = plugin_mark(insn);

	if (what == (0x5eed0000 | MARK_TRACE))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, mark_begin, NO_REGS, NULL);
	else if (what == (0x5eee0000 | MARK_TRACE))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, mark_end, NO_REGS, NULL);
}

/* push, pop, call and ret, of whole registers */
static void look_at_stack(struct qemu_plugin_insn *insn)
{
	const uint8_t *data = qemu_plugin_insn_data(insn);
	uint8_t code = data[0] == 0x41 ? data[1] : data[0];

	if ((code >= 0x50 && code <= 0x5f) || data[0] == 0xe8 || data[0] == 0xc3)
		qemu_plugin_register_vcpu_mem_cb(insn, on_stack, NO_REGS, READS | WRITES, NULL);
}

/* A block that is translated anew gets a new number: nobody minds. */
static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i, nr = qemu_plugin_tb_n_insns(tb);
	uint64_t entry[2] = { qemu_plugin_tb_vaddr(tb), nr };

	(void)id;
	if (blocks)
		fwrite(entry, sizeof(entry), 1, blocks);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, NO_REGS,
					     (void *)(uintptr_t)nr_blocks++);
	for (i = 0; i < nr; i++) {
		look_for_mark(qemu_plugin_tb_get_insn(tb, i));
		if (entry[0] >> 63)
			look_at_stack(qemu_plugin_tb_get_insn(tb, i));
	}
}

static void finish(plugin_id id, void *data)
{
	(void)id;
	(void)data;
	fclose(words);
	fclose(blocks);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	char name[4096];
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (strncmp(argv[i], "out=", 4))
			continue;
		words = fopen(argv[i] + 4, "w");
		snprintf(name, sizeof(name), "%s.blocks", argv[i] + 4);
		blocks = fopen(name, "w");
	}
	if (!words || !blocks)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
