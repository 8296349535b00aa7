/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_LINUX_LIST_H
#define HOST_LINUX_LIST_H

#include <linux/container_of.h>
#include <stdbool.h>
#include <stddef.h>

struct list_head {
	struct list_head *next, *prev;
};

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline void list_add(struct list_head *entry, struct list_head *head)
{
	entry->prev = head;
	entry->next = head->next;
	head->next->prev = entry;
	head->next = entry;
}

/* Nobody may go on from an entry that is in no list. */
static inline void list_del(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->next = NULL;
	entry->prev = NULL;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

static inline bool list_is_singular(const struct list_head *head)
{
	return !list_empty(head) && head->next == head->prev;
}

#define list_first_entry_or_null(head, type, member)			\
	(list_empty(head) ? NULL : container_of((head)->next, type, member))

#define list_for_each_entry_safe(pos, n, head, member)			\
	for (pos = container_of((head)->next, __typeof__(*pos), member);	\
	     n = container_of(pos->member.next, __typeof__(*pos), member), \
	     &pos->member != (head); pos = n)

#endif
