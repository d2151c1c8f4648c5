/* keys.c - calls that make keys, or take more than one: only handles change on the way. */
#include "plugin/access.h"
#include "plugin/parameter.h"

static CK_RV shown(CK_RV rv, CK_OBJECT_HANDLE *h)
{
	return rv != CKR_OK || !h || handle_to_client(h) ? rv : CKR_HOST_MEMORY;
}

CK_RV hook_SetOperationState(CK_SESSION_HANDLE s, CK_BYTE *state, CK_ULONG state_n,
			     CK_OBJECT_HANDLE encryption, CK_OBJECT_HANDLE authentication)
{
	CK_RV rv = access_key(s, &encryption);

	if (rv == CKR_OK)
		rv = access_key(s, &authentication);
	return rv ? rv : HSM(SetOperationState)(s, state, state_n, encryption, authentication);
}

CK_RV hook_GenerateKey(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *templ, CK_ULONG n,
		       CK_OBJECT_HANDLE *key)
{
	CK_RV rv = access_template(s, templ, n);

	return rv ? rv : shown(HSM(GenerateKey)(s, m, templ, n, key), key);
}

CK_RV hook_GenerateKeyPair(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *public_templ,
			   CK_ULONG public_n, CK_ATTRIBUTE *private_templ, CK_ULONG private_n,
			   CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
	CK_RV rv = access_template(s, public_templ, public_n);

	if (rv == CKR_OK)
		rv = access_template(s, private_templ, private_n);
	if (rv == CKR_OK)
		rv = HSM(GenerateKeyPair)(s, m, public_templ, public_n, private_templ, private_n,
					  public_key, private_key);
	return shown(shown(rv, public_key), private_key);
}

CK_RV hook_WrapKey(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping,
		   CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *out_n)
{
	struct parameter room;
	CK_RV rv = access_enter(s, &wrapping, CKR_KEY_FUNCTION_NOT_PERMITTED,
				CKR_WRAPPING_KEY_HANDLE_INVALID);

	if (rv == CKR_OK)
		rv = access_enter(s, &key, CKR_KEY_UNEXTRACTABLE, CKR_KEY_HANDLE_INVALID);
	if (rv == CKR_OK)
		rv = parameter_enter(s, &m, &room);
	return rv ? rv : HSM(WrapKey)(s, m, wrapping, key, out, out_n);
}

CK_RV hook_UnwrapKey(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE unwrapping,
		     CK_BYTE *wrapped, CK_ULONG wrapped_n, CK_ATTRIBUTE *templ, CK_ULONG n,
		     CK_OBJECT_HANDLE *key)
{
	CK_RV rv = access_enter(s, &unwrapping, CKR_KEY_FUNCTION_NOT_PERMITTED,
				CKR_UNWRAPPING_KEY_HANDLE_INVALID);

	if (rv == CKR_OK)
		rv = access_template(s, templ, n);
	return rv ? rv
		  : shown(HSM(UnwrapKey)(s, m, unwrapping, wrapped, wrapped_n, templ, n, key), key);
}

CK_RV hook_DeriveKey(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE base,
		     CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
	struct parameter room;
	CK_RV rv = access_key(s, &base);

	if (rv == CKR_OK)
		rv = parameter_enter(s, &m, &room);
	if (rv == CKR_OK)
		rv = access_template(s, templ, n);
	return rv ? rv : shown(HSM(DeriveKey)(s, m, base, templ, n, key), key);
}
