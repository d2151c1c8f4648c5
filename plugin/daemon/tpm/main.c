/* assay-tpm - has a TPM sign the registers that the boot was measured into.
 *
 *   assay-tpm TCTI HEXCHALLENGE     TCTI: as tpm2-tss names a way to a TPM, "device:/dev/tpmrm0"
 *
 * The key is made anew from the TPM's endorsement seed each time, so it is the same one each time
 * and lies nowhere. Prints, in hexadecimal and a line each, the quote (audit/quote.h has its form)
 * and the eight registers. A process of its own, so that the daemon has none of the TPM's stack in
 * its address space; and one that opens libraries and the TPM alone, since it runs as the daemon's
 * user, and the TPM's answers are a stranger's. Exit status: 0, or one of below.
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "audit/quote.h"
#include "config/base/confined.h"
#include "config/base/landlock.h"

enum { FAILED = 1, USAGE = 2 };

static const TPM2B_PUBLIC key_template = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
				    TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT,
		.parameters.eccDetail = {
			.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme = { .scheme = TPM2_ALG_ECDSA,
				    .details.ecdsa.hashAlg = TPM2_ALG_SHA256 },
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL,
		},
	},
};

static const TPML_PCR_SELECTION registers = {
	.count = 1,
	.pcrSelections = { { .hash = TPM2_ALG_SHA256, .sizeofSelect = 3, .pcrSelect = { 0xff } } },
};

struct tpm {
	TSS2_TCTI_CONTEXT *way;
	ESYS_CONTEXT *esys;
	ESYS_TR key;
	TPM2B_PUBLIC *public;
	TPM2B_ATTEST *attest;
	TPMT_SIGNATURE *signature;
	TPML_DIGEST *values;
};

static void tpm_cleanup(struct tpm *tpm)
{
	if (tpm->esys && tpm->key != ESYS_TR_NONE)
		(void)Esys_FlushContext(tpm->esys, tpm->key);
	Esys_Free(tpm->public);
	Esys_Free(tpm->attest);
	Esys_Free(tpm->signature);
	Esys_Free(tpm->values);
	Esys_Finalize(&tpm->esys);
	Tss2_TctiLdr_Finalize(&tpm->way);
}

static enum err check(TSS2_RC rc, const char *what)
{
	return rc == TSS2_RC_SUCCESS ? OK : failed(ERR_GONE, "%s: %s", what, Tss2_RC_Decode(rc));
}

static enum err open_tpm(struct tpm *tpm, const char *tcti)
{
	enum err e = check(Tss2_TctiLdr_Initialize(tcti, &tpm->way), tcti);

	return e ? e : check(Esys_Initialize(&tpm->esys, tpm->way, NULL), tcti);
}

static enum err make_key(struct tpm *tpm)
{
	const TPM2B_SENSITIVE_CREATE secret = { 0 };
	const TPM2B_DATA outside = { 0 };
	const TPML_PCR_SELECTION none = { 0 };

	return check(Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
					ESYS_TR_NONE, ESYS_TR_NONE, &secret, &key_template,
					&outside, &none, &tpm->key, &tpm->public, NULL, NULL, NULL),
		     "the TPM's key");
}

static enum err read_registers(struct tpm *tpm)
{
	UINT32 updates;
	TPML_PCR_SELECTION *read = NULL;
	enum err e = check(Esys_PCR_Read(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					 &registers, &updates, &read, &tpm->values),
			   "the TPM's registers");
	Esys_Free(read);
	if (e)
		return e;
	if (tpm->values->count != QUOTE_REGISTERS)
		return failed(ERR_UNSUPPORTED, "the TPM has no SHA-256 registers");
	for (unsigned i = 0; i < QUOTE_REGISTERS; i++)
		if (tpm->values->digests[i].size != SHA256_SIZE)
			return failed(ERR_UNSUPPORTED, "the TPM has no SHA-256 registers");
	return OK;
}

static enum err quote(struct tpm *tpm, const uint8_t challenge[SHA256_SIZE])
{
	TPMT_SIG_SCHEME way = { 0 };
	TPM2B_DATA asked = { .size = SHA256_SIZE };

	way.scheme = TPM2_ALG_NULL;
	memcpy(asked.buffer, challenge, SHA256_SIZE);
	return check(Esys_Quote(tpm->esys, tpm->key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
				&asked, &way, &registers, &tpm->attest, &tpm->signature),
		     "the TPM's quote");
}

static enum err print_hex(struct slice bytes)
{
	CLEANUP(buf) struct buf line = BUF_INIT;

	buf_put_hex(&line, bytes);
	const char *text = buf_text(&line);
	return text && puts(text) >= 0 ? OK : failed(ERR_IO, "no output");
}

static enum err print(const struct tpm *tpm)
{
	CLEANUP(buf) struct buf out = BUF_INIT;
	uint8_t public[1024], signature[1024];
	size_t public_n = 0, signature_n = 0;
	enum err e;

	if ((e = check(Tss2_MU_TPMT_PUBLIC_Marshal(&tpm->public->publicArea, public, sizeof public,
						   &public_n),
		       "the TPM's key")) ||
	    (e = check(Tss2_MU_TPMT_SIGNATURE_Marshal(tpm->signature, signature, sizeof signature,
						      &signature_n),
		       "the TPM's quote")))
		return e;
	quote_write(
		&(struct quote_parts){ slice_of(public, public_n),
				       slice_of(tpm->attest->attestationData, tpm->attest->size),
				       slice_of(signature, signature_n) },
		&out);
	if ((e = buf_check(&out)) || (e = print_hex(buf_slice(&out))))
		return e;
	for (unsigned i = 0; !e && i < QUOTE_REGISTERS; i++)
		e = print_hex(slice_of(tpm->values->digests[i].buffer, SHA256_SIZE));
	return e ? e : fflush(stdout) ? failed(ERR_IO, "no output") : OK;
}

/* The way to the TPM loads libraries; a device is opened, and a socket is no matter of files. */
static enum err confine(const char *tcti)
{
	const struct rlimit none = { 0, 0 };
	const char *device = strncmp(tcti, "device:", 7) ? "/dev/tpmrm0" : tcti + 7;
	const struct landlock_path paths[] = {
		{ "/usr/lib", false },
		{ "/lib", false },
		{ "/lib64", false },
		{ "/etc/ld.so.cache", false },
		{ "/etc/ssl", false },
		{ "/etc/hosts", false },
		{ "/etc/nsswitch.conf", false },
		{ "/etc/host.conf", false },
		{ device, true },
	};

	if (prctl(PR_SET_DUMPABLE, 0) || setrlimit(RLIMIT_CORE, &none))
		return failed(ERR_IO, "hardening: %m");
	return landlock_files(paths, sizeof paths / sizeof *paths);
}

int main(int argc, char **argv)
{
	CLEANUP(tpm) struct tpm tpm = { .key = ESYS_TR_NONE };
	uint8_t challenge[SHA256_SIZE];
	enum err e;

	if (argc != 3 || hex_take(argv[2], challenge, sizeof challenge)) {
		(void)fprintf(stderr, "usage: assay-tpm TCTI HEXCHALLENGE\n");
		return USAGE;
	}
	if ((e = confine(argv[1])) || (e = open_tpm(&tpm, argv[1])) || (e = make_key(&tpm)) ||
	    (e = read_registers(&tpm)) || (e = quote(&tpm, challenge)) || (e = print(&tpm))) {
		(void)fprintf(stderr, "assay-tpm: %s\n", err_reason());
		return FAILED;
	}
	return 0;
}
