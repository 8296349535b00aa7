/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's interface for plugins, version 1 (docs/devel/tcg-plugins.rst there), as far
 * as it is used here: Debian has no package with its header. And the marks of bench.h.
 */
#ifndef BENCH_PLUGIN_H
#define BENCH_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORT	__attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t plugin_id;
enum { ADD_U64 };
enum { NO_REGS };
enum { READS = 1, WRITES = 2 };

typedef void (*plugin_exec_fn)(unsigned int vcpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
	void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb,
	int op, void *ptr, uint64_t imm);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
	plugin_exec_fn cb, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
	plugin_exec_fn cb, int flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
	void (*cb)(unsigned int vcpu, uint32_t info, uint64_t address, void *data),
	int flags, int which, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id,
	void (*cb)(plugin_id id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

/* The mark that an instruction is: 0x5eed0000 or 0x5eee0000 plus its number. 0: none */
static inline uint32_t plugin_mark(struct qemu_plugin_insn *insn)
{
	/* nopl disp32(%rax,%rax,1) */
	static const uint8_t code[] = { 0x0f, 0x1f, 0x84, 0x00 };
	const uint8_t *data = qemu_plugin_insn_data(insn);
	uint32_t what;

	if (qemu_plugin_insn_size(insn) != 8 || memcmp(data, code, sizeof(code)))
		return 0;
	memcpy(&what, data + 4, 4);
	return what >> 16 == 0x5eed || what >> 16 == 0x5eee ? what : 0;
}

#endif
