#include "config/base/version.h"

/* Takes the next number's digits, without leading zeros (a zero has none); false at the end, or at what
 * is no number. */
static bool take_number(struct slice *version, struct slice *out)
{
	size_t n = 0, zeros = 0;

	while (n < version->left && version->p[n] >= '0' && version->p[n] <= '9')
		n++;
	if (n == 0 || (n < version->left && version->p[n] != '.'))
		return false;
	while (zeros < n && version->p[zeros] == '0')
		zeros++;
	*out = slice_of(version->p + zeros, n - zeros);
	n += n < version->left;
	*version = slice_of(version->p + n, version->left - n);
	return true;
}

static int compare(struct slice a, struct slice b)
{
	if (a.left != b.left)
		return a.left < b.left ? -1 : 1;
	return slice_compare(a, b);
}

bool version_is_least(struct slice version, struct slice least)
{
	struct slice have, want;

	while (least.left) {
		if (!take_number(&least, &want) || !take_number(&version, &have))
			return false;
		int order = compare(have, want);
		if (order)
			return order > 0;
	}
	return true;
}
