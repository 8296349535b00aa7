/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bound edu device with two address spaces, and what it reads and writes by
 * content, for tests.
 *
 * The device's buffer is filled from, and looked at through, one page that
 * both address spaces have at IOVA STAGE. "The device reads X" means: the
 * buffer holds poison, the device copies from X, the buffer is copied to the
 * stage and compared.
 */
#ifndef STAGE_H
#define STAGE_H

#include "edu.h"

#define STAGE	0x10000UL
#define LENGTH	EDU_MAX

struct stage {
	int dev;
	int iommufd;
	uint32_t devid;
	uint32_t ioas;
	uint32_t other;
	struct edu edu;
	void *page;
	long pins;		/* of the whole system, before all this */
};

/* Bytes that tell where they come from. */
static inline void paint(void *p, size_t length, uint32_t seed)
{
	unsigned char *bytes = p;
	size_t i;

	seed = seed * 2654435761U + 1;
	for (i = 0; i < length; i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i] = seed >> 16;
	}
}

/* 0 when they are as painted, else 1 + the offset of the first that is not. */
static inline size_t painted(const void *p, size_t length, uint32_t seed)
{
	const unsigned char *bytes = p;
	size_t i;

	seed = seed * 2654435761U + 1;
	for (i = 0; i < length; i++) {
		seed = seed * 1103515245 + 12345;
		if (bytes[i] != (unsigned char)(seed >> 16))
			return i + 1;
	}
	return 0;
}

static inline size_t all_zero(const void *p, size_t length)
{
	const unsigned char *bytes = p;
	size_t i;

	for (i = 0; i < length; i++)
		if (bytes[i])
			return i + 1;
	return 0;
}

/* Open and bind the device again, as after a close. */
static inline int stage_bind(struct stage *s)
{
	int rc;

	s->dev = edu_open();
	if (s->dev < 0)
		return s->dev;
	rc = vfio_bind(s->dev, s->iommufd, &s->devid);
	return rc ?: edu_init(&s->edu, s->dev);
}

static inline void stage_unbind(struct stage *s)
{
	edu_uninit(&s->edu);
	close(s->dev);
}

/* Everything but an attach. */
static inline int stage_open(struct stage *s)
{
	int rc;

	s->pins = pinned_now();
	s->iommufd = iommufd_open();
	if (s->pins < 0 || s->iommufd < 0)
		return -ENODEV;
	s->page = pages_alloc(PAGE);
	if (!s->page)
		return -ENOMEM;
	rc = stage_bind(s);
	if (!rc)
		rc = ioas_alloc(s->iommufd, &s->ioas);
	if (!rc)
		rc = ioas_alloc(s->iommufd, &s->other);
	if (!rc)
		rc = ioas_map_fixed(s->iommufd, s->ioas, RW, s->page, PAGE,
				    STAGE);
	if (!rc)
		rc = ioas_copy_fixed(s->iommufd, RW, s->other, STAGE, s->ioas,
				     STAGE, PAGE);
	return rc;
}

static inline void stage_close(struct stage *s)
{
	stage_unbind(s);
	close(s->iommufd);
	munmap(s->page, PAGE);
}

/* Pages pinned since the beginning. */
static inline long stage_pins(struct stage *s)
{
	return pinned_now() - s->pins;
}

/* Put painted bytes into the device's buffer. */
static inline int stage_load(struct stage *s, uint32_t seed)
{
	paint(s->page, LENGTH, seed);
	return edu_dma(&s->edu, false, STAGE, LENGTH);
}

/* Let the device write painted bytes to @iova. */
static inline int device_writes(struct stage *s, uint64_t iova, uint32_t seed)
{
	int rc = stage_load(s, seed);

	return rc ?: edu_dma(&s->edu, true, iova, LENGTH);
}

/* Let the device read at @iova: what it saw is then in the stage's page. */
static inline int device_fetches(struct stage *s, uint64_t iova)
{
	int rc = stage_load(s, 0xdead);

	if (!rc)
		rc = edu_dma(&s->edu, false, iova, LENGTH);
	memset(s->page, 0x99, PAGE);
	return rc ?: edu_dma(&s->edu, true, STAGE, LENGTH);
}

/* 1 if the device sees these painted bytes at @iova, 0 if not, or -errno. */
static inline int device_reads(struct stage *s, uint64_t iova, uint32_t seed)
{
	int rc = device_fetches(s, iova);

	return rc ?: !painted(s->page, LENGTH, seed);
}

#endif
