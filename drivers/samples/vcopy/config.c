// SPDX-License-Identifier: GPL-2.0
/*
 * Configuration space: a header, two BARs that can be sized, one MSI. Nothing acts
 * on it but the engine, which copies for a bus master only.
 */
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/unaligned.h>

#include "vcopy.h"

#define MSI_AT		0x40
#define CLASS_CODE	0x120000	/* processing accelerator */

/* Which bits can be written, by aligned words of 4 bytes; zero elsewhere. */
static u32 writable_bits(u32 at)
{
	switch (at) {
	case PCI_COMMAND:
		return PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
		       PCI_COMMAND_INTX_DISABLE;
	case PCI_BASE_ADDRESS_0:
		return ~(VCOPY_REGS_SIZE - 1U);
	case PCI_BASE_ADDRESS_2:
		return ~(VCOPY_BUFFER_SIZE - 1U);
	case PCI_INTERRUPT_LINE:
		return 0xff;
	case MSI_AT:
		return (u32)PCI_MSI_FLAGS_ENABLE << 16;
	case MSI_AT + PCI_MSI_ADDRESS_LO:
		return ~3U;
	case MSI_AT + PCI_MSI_ADDRESS_HI:
		return ~0U;
	case MSI_AT + PCI_MSI_DATA_64:
		return 0xffff;
	default:
		return 0;
	}
}

void vcopy_config_reset(struct vcopy *vc)
{
	u8 *bytes = vc->config.bytes;

	mutex_lock(&vc->config.lock);
	memset(bytes, 0, sizeof(vc->config.bytes));
	put_unaligned_le16(VCOPY_VENDOR, bytes + PCI_VENDOR_ID);
	put_unaligned_le16(VCOPY_DEVICE, bytes + PCI_DEVICE_ID);
	put_unaligned_le16(PCI_STATUS_CAP_LIST, bytes + PCI_STATUS);
	put_unaligned_le32(CLASS_CODE << 8 | 1, bytes + PCI_CLASS_REVISION);
	put_unaligned_le16(VCOPY_VENDOR, bytes + PCI_SUBSYSTEM_VENDOR_ID);
	put_unaligned_le16(VCOPY_DEVICE, bytes + PCI_SUBSYSTEM_ID);
	bytes[PCI_CAPABILITY_LIST] = MSI_AT;
	bytes[MSI_AT] = PCI_CAP_ID_MSI;
	put_unaligned_le16(PCI_MSI_FLAGS_64BIT, bytes + MSI_AT + PCI_MSI_FLAGS);
	mutex_unlock(&vc->config.lock);
}

void vcopy_config_read(struct vcopy *vc, u32 at, void *data, u32 count)
{
	mutex_lock(&vc->config.lock);
	memcpy(data, vc->config.bytes + at, count);
	mutex_unlock(&vc->config.lock);
}

void vcopy_config_write(struct vcopy *vc, u32 at, const void *data, u32 count)
{
	const u8 *from = data;
	u8 *byte, bits;

	mutex_lock(&vc->config.lock);
	for (; count; count--, at++, from++) {
		bits = writable_bits(round_down(at, 4)) >> at % 4 * 8;
		byte = &vc->config.bytes[at];
		*byte = (*byte & ~bits) | (*from & bits);
	}
	mutex_unlock(&vc->config.lock);
}

bool vcopy_config_is_master(struct vcopy *vc)
{
	return READ_ONCE(vc->config.bytes[PCI_COMMAND]) & PCI_COMMAND_MASTER;
}
