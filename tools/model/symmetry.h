/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Symmetry of the model: after every step objects and clients are renamed, so that states that
 * differ in numbers only become one.
 *
 * Each object gets a key, made of all that concerns it but where its slot leads. Objects are
 * sorted by their keys; where keys are equal, every order is tried. Clients are sorted by what
 * they do; where that is equal, both orders are tried. Among what is left, the greatest keys and
 * then the greatest slots win. So the result depends on the state, and not on its numbers.
 *
 * Included by pan.c; now is the state of the model.
 */
#define OBJECTS	((int)sizeof(now.state))
#define CLIENTS	((int)sizeof(now.op))

struct naming {
	int found;
	unsigned char client[CLIENTS];	/* old names, by new ones */
	unsigned char obj[OBJECTS];
	unsigned long long key[OBJECTS];
	unsigned char slot[OBJECTS];
};

static unsigned long long key_bit(unsigned long long key, int bit)
{
	return key << 1 | !!bit;
}

static unsigned long long object_key(int o, const unsigned char *client)
{
	unsigned long long key = now.state[o] << 4 | now.count[o];
	int i;

	for (i = 0; i < CLIENTS; i++) {
		key = key_bit(key, now.hold[client[i]] >> o & 1);
		key = key_bit(key, now.obj[client[i]] == o);
		key = key_bit(key, now.target[client[i]] == o);
		key = key_bit(key, now.stored[client[i]] == o);
	}
	key = key_bit(key, now.mark >> o & 1);
	key = key_bit(key, now.grey >> o & 1);
	key = key_bit(key, now.garbage >> o & 1);
	key = key_bit(key, now.due >> o & 1);
	key = key_bit(key, now.was_due >> o & 1);
	key = key_bit(key, now.frozen >> o & 1);
	key = key_bit(key, now.remembered >> o & 1);
	key = key_bit(key, now.recall >> o & 1);
	key = key_bit(key, now.todo >> o & 1);
	key = key_bit(key, now.hand == o);
	key = key_bit(key, now.behind == o);
	key = key_bit(key, now.slot[o] == o);
	return key_bit(key, now.slot[o] == OBJECTS);
}

static int new_name(const struct naming *n, int o)
{
	int i;

	for (i = 0; i < OBJECTS && n->obj[i] != o; i++)
		;
	return i;
}

static int naming_compare(const struct naming *a, const struct naming *b)
{
	int i;

	for (i = 0; i < OBJECTS; i++)
		if (a->key[i] != b->key[i])
			return a->key[i] < b->key[i] ? -1 : 1;
	for (i = 0; i < OBJECTS; i++)
		if (a->slot[i] != b->slot[i])
			return a->slot[i] < b->slot[i] ? -1 : 1;
	return 0;
}

static void naming_try(struct naming *best, struct naming *n, const unsigned long long *key)
{
	int i;

	for (i = 0; i < OBJECTS; i++)
		n->key[i] = key[n->obj[i]];
	for (i = 1; i < OBJECTS; i++)
		if (n->key[i - 1] < n->key[i])
			return;
	for (i = 0; i < OBJECTS; i++)
		n->slot[i] = new_name(n, now.slot[n->obj[i]]);
	if (!best->found || naming_compare(best, n) < 0) {
		*best = *n;
		best->found = 1;
	}
}

/* Try all orders of the objects, given the clients'. */
static void naming_search(struct naming *best, int first, int second)
{
	struct naming n = { .client = { first, second } };
	unsigned long long key[OBJECTS];
	int i, j;

	for (i = 0; i < OBJECTS; i++)
		key[i] = object_key(i, n.client);
	for (i = 0; i < OBJECTS; i++) {
		for (j = 0; j < OBJECTS; j++) {
			if (i == j)
				continue;
			n.obj[0] = i;
			n.obj[1] = j;
			if (OBJECTS == 3)
				n.obj[OBJECTS - 1] = 3 - i - j;
			naming_try(best, &n, key);
		}
	}
}

static void rename_bits(const struct naming *n, unsigned char *bits)
{
	unsigned char old = *bits;
	int i;

	*bits = 0;
	for (i = 0; i < OBJECTS; i++)
		*bits |= (old >> n->obj[i] & 1) << i;
}

static void rename_objects(const struct naming *n)
{
	unsigned char state[OBJECTS], count[OBJECTS];
	int i;

	for (i = 0; i < OBJECTS; i++) {
		state[i] = now.state[n->obj[i]];
		count[i] = now.count[n->obj[i]];
	}
	for (i = 0; i < OBJECTS; i++) {
		now.state[i] = state[i];
		now.count[i] = count[i];
		now.slot[i] = n->slot[i];
	}
	for (i = 0; i < CLIENTS; i++) {
		now.obj[i] = new_name(n, now.obj[i]);
		now.target[i] = new_name(n, now.target[i]);
		now.stored[i] = new_name(n, now.stored[i]);
		rename_bits(n, &now.hold[i]);
	}
	now.hand = new_name(n, now.hand);
	now.behind = new_name(n, now.behind);
	rename_bits(n, &now.mark);
	rename_bits(n, &now.grey);
	rename_bits(n, &now.garbage);
	rename_bits(n, &now.due);
	rename_bits(n, &now.was_due);
	rename_bits(n, &now.frozen);
	rename_bits(n, &now.remembered);
	rename_bits(n, &now.recall);
	rename_bits(n, &now.todo);
}

static void swap_bytes(unsigned char *bytes)
{
	unsigned char first = bytes[0];

	bytes[0] = bytes[1];
	bytes[1] = first;
}

static void rename_all(void)
{
	struct naming best = { .found = 0 };
	int first = now.op[0] << 1 | now.stale[0];
	int second = now.op[1] << 1 | now.stale[1];

	if (first <= second)
		naming_search(&best, 0, 1);
	if (second <= first)
		naming_search(&best, 1, 0);
	rename_objects(&best);
	if (!best.client[0])
		return;
	swap_bytes(now.op);
	swap_bytes(now.stale);
	swap_bytes(now.obj);
	swap_bytes(now.target);
	swap_bytes(now.stored);
	swap_bytes(now.hold);
}
