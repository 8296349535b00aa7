/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vcopy: a copy engine that exists in software only. What a program sees of it;
 * included by the driver, by examples/copy and by the tests.
 *
 * A PCI device with two BARs and one MSI:
 *
 *	BAR 0	registers, 4 KiB, read and written in aligned units of 4 or 8 bytes.
 *		Not to be mapped: each write is an order.
 *	BAR 2	the buffer, VCOPY_BUFFER_SIZE bytes of memory of its own. Can be
 *		mapped.
 *
 * The engine runs one command at a time. Fill in SRC, DST and LEN, write CMD, wait
 * for the interrupt or until BUSY is gone, look at STATUS and ERROR. A command
 * takes the values of the registers when it starts; CMD is ignored while BUSY, but
 * for VCOPY_CMD_STOP. The device must be a bus master (PCI command register, bit 2).
 *
 * Addresses are IOVAs: bytes in the address space that the device is attached to.
 * Nothing needs to be aligned. A command that meets an IOVA where nothing is
 * mapped, or not for this use, ends there; what was copied before stays (MOVED).
 *
 * What is copied onto itself with an offset comes out as it comes out: a chunk may be
 * done twice.
 *
 * A reset (VFIO_DEVICE_RESET) stops the engine, lets go of held memory and puts
 * the registers and the configuration space back. The buffer keeps its contents.
 *
 * The device can be migrated, also in the middle of a command. Registers,
 * configuration space and buffer go along; held memory stays behind and is LOST.
 * Interrupts are to be set up again. It can log which memory it writes to.
 */
#ifndef VCOPY_REGS_H
#define VCOPY_REGS_H

#define VCOPY_VENDOR		0x1234
#define VCOPY_DEVICE		0xc09e

#define VCOPY_BAR_REGS		0
#define VCOPY_BAR_BUFFER	2
#define VCOPY_REGS_SIZE		0x1000
#define VCOPY_BUFFER_SIZE	0x10000

/* 4 bytes: VCOPY_MAGIC. Read-only. */
#define VCOPY_ID		0x00
#define  VCOPY_MAGIC		0x59504f43	/* "COPY" */

/* 4 bytes: what this one can do. Read-only. */
#define VCOPY_CAPS		0x04
#define  VCOPY_CAP_PINS		(1 << 0)	/* it pins what it copies, and has HOLD */

/* 4 bytes. Read-only. */
#define VCOPY_STATUS		0x08
#define  VCOPY_BUSY		(1 << 0)	/* a command is at work */
#define  VCOPY_DONE		(1 << 1)	/* the last one ended well */
#define  VCOPY_FAILED		(1 << 2)	/* the last one did not: see ERROR */
#define  VCOPY_LOST		(1 << 3)	/* held memory was taken away, see HELD */

/* 4 bytes: why the last command failed. Read-only. */
#define VCOPY_ERROR		0x0c
#define  VCOPY_ERROR_NONE	0
#define  VCOPY_ERROR_COMMAND	1	/* no such command, or LEN out of range */
#define  VCOPY_ERROR_MASTER	2	/* not a bus master */
#define  VCOPY_ERROR_ADDRESS	3	/* nothing is mapped there */
#define  VCOPY_ERROR_PERMISSION	4	/* not mapped for reading, for writing */
#define  VCOPY_ERROR_MEMORY	5	/* mapped, but memory cannot be had */
#define  VCOPY_ERROR_STOPPED	6	/* by VCOPY_CMD_STOP or a reset */

/* 8 bytes each. LEN: 1 to VCOPY_LEN_MAX bytes. */
#define VCOPY_SRC		0x10
#define VCOPY_DST		0x18
#define VCOPY_LEN		0x20
#define  VCOPY_LEN_MAX		(1 << 30)

/* 4 bytes. A write starts a command; reads give the last one. */
#define VCOPY_CMD		0x28
#define  VCOPY_CMD_STOP		0	/* end the present one: VCOPY_ERROR_STOPPED */
#define  VCOPY_CMD_COPY		1	/* from IOVA SRC to IOVA DST */
#define  VCOPY_CMD_LOAD		2	/* from IOVA SRC to byte DST of the buffer */
#define  VCOPY_CMD_STORE	3	/* from byte SRC of the buffer to IOVA DST */
/*
 * Pin the pages of [SRC, SRC + LEN), up to VCOPY_HOLD_MAX of them, for reading and
 * writing, instead of what was held before. They stay pinned until RELEASE, or
 * until they are unmapped or the device leaves the address space: LOST.
 */
#define  VCOPY_CMD_HOLD		4
#define  VCOPY_CMD_RELEASE	5
#define  VCOPY_CMD_MASK		0xff
#define  VCOPY_CMD_IRQ		(1 << 8)	/* interrupt at the end */
#define  VCOPY_CMD_REPEAT	(1 << 9)	/* again and again, until STOP or an error */
#define VCOPY_HOLD_MAX		512

/* 4 bytes: commands that ended well, each round of a repeated one. Read-only. */
#define VCOPY_ROUNDS		0x2c
/* 8 bytes: bytes moved by the last command, by all of its rounds. Read-only. */
#define VCOPY_MOVED		0x30
/* 4 bytes: pages that are held. Read-only. */
#define VCOPY_HELD		0x38
/* 4 bytes: 1 when the device was opened for a virtual machine. Read-only. */
#define VCOPY_VM		0x3c

#endif
