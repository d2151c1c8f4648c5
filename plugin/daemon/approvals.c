#include "plugin/daemon/approvals.h"

#include "audit/devkey.h"
#include "audit/leaf.h"

_Static_assert(TRAILER_SIGNATURES_MAX <= LEAF_AUTHORITIES_MAX, "a leaf names all who approved");

enum err approvals_init(struct approvals *out, const struct trailer *signers)
{
	enum err e = trailer_put(signers, &out->raw);

	return e ? e : trailer_parse(buf_slice(&out->raw), &out->trailer);
}

void approvals_free(struct approvals *approvals)
{
	buf_free(&approvals->raw);
}

/* Whether this policy lets that signer approve anything. */
static bool trusted(const struct partition_policy *says, const uint8_t signer[SHA256_SIZE])
{
	return policy_lists(&says->packages_signers, signer) &&
	       !policy_lists(&says->packages_revoked_signers, signer);
}

enum err approvals_check(struct approvals *approvals, const uint8_t package[SHA256_SIZE],
			 const struct partition_policy *says)
{
	enum err worst = OK;

	for (size_t i = 0; i < approvals->trailer.n; i++) {
		const struct signature *s = &approvals->trailer.list[i];
		char hex[2 * SHA256_SIZE + 1];

		if (atomic_load(&approvals->holds[i]) || !trusted(says, s->signer))
			continue;
		if (!devkey_verify(s->key, package, s->signature)) {
			atomic_store(&approvals->holds[i], true);
			continue;
		}
		hex_put(hex, s->signer, SHA256_SIZE);
		worst = failed(ERR_MISMATCH, "signer %s: %s", hex, err_reason());
	}
	return worst;
}

static bool counts(const struct approvals *approvals, const struct partition_policy *says, size_t i)
{
	return atomic_load(&approvals->holds[i]) &&
	       trusted(says, approvals->trailer.list[i].signer);
}

size_t approvals_count(const struct approvals *approvals, const struct partition_policy *says)
{
	size_t n = 0;

	for (size_t i = 0; i < approvals->trailer.n; i++)
		n += counts(approvals, says, i);
	return n;
}

void approvals_put(const struct approvals *approvals, const struct partition_policy *says,
		   struct buf *authorities)
{
	for (size_t i = 0; i < approvals->trailer.n; i++)
		if (counts(approvals, says, i))
			leaf_put_authority(authorities, approvals->trailer.list[i].signer);
}

const uint8_t *approvals_revoked(const struct approvals *approvals,
				 const struct partition_policy *says)
{
	for (size_t i = 0; i < approvals->trailer.n; i++)
		if (policy_lists(&says->packages_revoked_signers,
				 approvals->trailer.list[i].signer))
			return approvals->trailer.list[i].signer;
	return NULL;
}
