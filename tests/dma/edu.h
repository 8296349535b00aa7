/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's edu device as a DMA engine, for tests: it copies between memory and a
 * buffer of its own, a tenth of a second after it was told to.
 *
 * QEMU ends if a transfer reaches the last byte of the buffer, so no more than
 * EDU_MAX bytes are moved at a time.
 */
#ifndef EDU_H
#define EDU_H

#include "vfio_utils.h"

#define EDU_ID		0x00
#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98
#define EDU_DMA_RUN	0x01
#define EDU_DMA_TO_RAM	0x02
#define EDU_BUFFER	0x40000UL
#define EDU_MAX		2048

#define PCI_COMMAND		4
#define PCI_COMMAND_MEMORY	2
#define PCI_COMMAND_MASTER	4

struct edu {
	int dev;
	volatile char *bar;
	size_t size;
};

/* @dev: bound. Maps the registers and lets the device be bus master. */
static inline int edu_init(struct edu *edu, int dev)
{
	struct vfio_region_info region;
	uint16_t command;
	int rc;

	edu->dev = dev;
	rc = vfio_region_info(dev, VFIO_PCI_BAR0_REGION_INDEX, &region);
	if (rc)
		return rc;
	edu->size = region.size;
	edu->bar = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			dev, region.offset);
	if (edu->bar == MAP_FAILED)
		return -errno;
	rc = vfio_region_info(dev, VFIO_PCI_CONFIG_REGION_INDEX, &region);
	if (rc)
		return rc;
	if (pread(dev, &command, 2, region.offset + PCI_COMMAND) != 2)
		return -EIO;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(dev, &command, 2, region.offset + PCI_COMMAND) != 2)
		return -EIO;
	return *(volatile uint32_t *)(edu->bar + EDU_ID) == 0x010000ed ?
	       0 : -ENODEV;
}

static inline void edu_uninit(struct edu *edu)
{
	munmap((void *)edu->bar, edu->size);
}

static inline void edu_write64(struct edu *edu, unsigned long reg, uint64_t v)
{
	*(volatile uint64_t *)(edu->bar + reg) = v;
}

static inline bool edu_busy(struct edu *edu)
{
	return *(volatile uint64_t *)(edu->bar + EDU_DMA_CMD) & EDU_DMA_RUN;
}

/* Begin to copy between memory at @iova and the start of the buffer. */
static inline void edu_start(struct edu *edu, bool to_ram, uint64_t iova,
			     uint64_t count)
{
	edu_write64(edu, EDU_DMA_SRC, to_ram ? EDU_BUFFER : iova);
	edu_write64(edu, EDU_DMA_DST, to_ram ? iova : EDU_BUFFER);
	edu_write64(edu, EDU_DMA_COUNT, count);
	edu_write64(edu, EDU_DMA_CMD, EDU_DMA_RUN |
				      (to_ram ? EDU_DMA_TO_RAM : 0));
}

/* The same to the end. Success says nothing about what the IOMMU let through. */
static inline int edu_dma(struct edu *edu, bool to_ram, uint64_t iova,
			  uint64_t count)
{
	int i;

	if (count > EDU_MAX)
		return -EINVAL;
	edu_start(edu, to_ram, iova, count);
	for (i = 0; i < 5000; i++) {
		if (!edu_busy(edu))
			return 0;
		usleep(2000);
	}
	return -ETIMEDOUT;
}

#endif
