/* parameter.h - object handles inside a mechanism's parameter.
 *
 * A few mechanisms take a second key that way. Its handle is judged and translated as the others
 * are; the client's parameter is never written to, the HSM gets a copy. Any thread.
 */
#ifndef PLUGIN_PARAMETER_H
#define PLUGIN_PARAMETER_H

#include "pkcs11/cryptoki.h"

#define PARAMETER_WORDS_MAX 10

struct parameter {
	CK_MECHANISM mechanism;
	CK_ULONG words[PARAMETER_WORDS_MAX];
};

/* Puts what the HSM is to be given in place of *m, if that is something else; @room holds it.
 * CKR_KEY_HANDLE_INVALID: an object of ours, or none. A parameter of a size that its mechanism does
 * not have is left for the HSM to refuse. */
CK_RV parameter_enter(CK_SESSION_HANDLE s, CK_MECHANISM **m, struct parameter *room);

#endif
