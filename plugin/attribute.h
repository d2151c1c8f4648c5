/* attribute.h - attributes of our objects, from attributes.def. Pure: asks nobody. */
#ifndef PLUGIN_ATTRIBUTE_H
#define PLUGIN_ATTRIBUTE_H

#include "plugin/object.h"

/* Vendor attributes: byte strings. Not 0x4159xxxx as the mechanisms: bit 30 of an attribute's type
 * says that its value is an array of attributes. */
#define CKA_ASSAY(n) (CKA_VENDOR_DEFINED | 0x01590000UL | (n))
#define CKA_ASSAY_APPLICATION CKA_ASSAY(1) /* the application's id */
#define CKA_ASSAY_MANIFEST CKA_ASSAY(2)    /* deterministic CBOR */
#define CKA_ASSAY_MEASUREMENT CKA_ASSAY(3) /* 32 bytes, as the image and the profile */
#define CKA_ASSAY_VERSION CKA_ASSAY(4)
#define CKA_ASSAY_IMAGE CKA_ASSAY(5)
#define CKA_ASSAY_PROFILE CKA_ASSAY(6)

/* Whether a search with this template finds the object; a secret or fetched value never matches. */
bool attribute_match(const struct object *object, const CK_ATTRIBUTE *templ, CK_ULONG n);

/* C_GetAttributeValue. @content is the value of a CONTENT attribute, asked for beforehand when
 * attribute_wants_content() says so. */
bool attribute_wants_content(const struct object *object, const CK_ATTRIBUTE *templ, CK_ULONG n);
CK_RV attribute_get(const struct object *object, struct slice content, CK_ATTRIBUTE *templ,
		    CK_ULONG n);
/* What C_GetObjectSize says: the attributes' bytes. */
CK_ULONG attribute_total(const struct object *object);

/* In the caller's template: NULL when it is not there, or has no value. */
const CK_ATTRIBUTE *attribute_find(const CK_ATTRIBUTE *templ, CK_ULONG n, CK_ATTRIBUTE_TYPE type);
bool attribute_is_number(const CK_ATTRIBUTE *a, CK_ULONG value);
struct slice attribute_slice(const CK_ATTRIBUTE *a);

#endif
