#include <string.h>

#include "testbed/softhsm/harness.h"
#include "testbed/softhsm/script.h"

/* SoftHSM puts the time of the call into utcTime. */
static void show_token(CK_SLOT_ID slot)
{
	CK_TOKEN_INFO info;

	memset(&info, OUT_PATTERN, sizeof info);
	CALL(GetTokenInfo, slot, &info);
	memset(info.utcTime, 0, sizeof info.utcTime);
	SHOW(info);
}

void chapter_slots(void)
{
	CK_INFO info;
	CK_SLOT_ID slots[8];
	CK_SLOT_INFO slot_info;
	CK_ULONG n = 99;

	script_initialise();
	memset(&info, OUT_PATTERN, sizeof info);
	CALL(GetInfo, &info);
	SHOW(info);
	for (int present = CK_FALSE; present <= CK_TRUE; present++) {
		CALL(GetSlotList, (CK_BBOOL)present, NULL, &n);
		script_number("n", n);
		memset(slots, OUT_PATTERN, sizeof slots);
		n = 1;
		CALL(GetSlotList, (CK_BBOOL)present, slots, &n);
		script_number("n", n);
		SHOW(slots);
		n = COUNT(slots);
		CALL(GetSlotList, (CK_BBOOL)present, slots, &n);
		script_number("n", n);
		SHOW(slots);
	}
	CALL(GetSlotList, CK_TRUE, slots, NULL);
	for (CK_ULONG i = 0; i <= n; i++) {
		CK_SLOT_ID slot = i < n ? slots[i] : 12345;

		memset(&slot_info, OUT_PATTERN, sizeof slot_info);
		CALL(GetSlotInfo, slot, &slot_info);
		SHOW(slot_info);
		CALL(GetSlotInfo, slot, NULL);
		show_token(slot);
		CALL(GetTokenInfo, slot, NULL);
	}
	CK_SLOT_ID event = 7;
	CALL(WaitForSlotEvent, CKF_DONT_BLOCK, &event, NULL);
	CALL(WaitForSlotEvent, CKF_DONT_BLOCK, NULL, NULL);
	CALL(WaitForSlotEvent, 0, &event, NULL);
	SHOW(event);
}

void chapter_mechanisms(void)
{
	static CK_MECHANISM_TYPE types[256];
	CK_MECHANISM_INFO info;
	CK_ULONG n = 0;

	script_initialise();
	CK_SLOT_ID slot = script_slot(SCRIPT_TOKEN);
	CALL(GetMechanismList, slot, NULL, NULL);
	CALL(GetMechanismList, slot, NULL, &n);
	script_number("n", n);
	n = 3;
	CALL(GetMechanismList, slot, types, &n);
	script_number("n", n);
	SHOW(types);
	n = COUNT(types);
	CALL(GetMechanismList, slot, types, &n);
	script_number("n", n);
	SHOW(types);
	for (CK_ULONG i = 0; i <= n; i++) {
		memset(&info, OUT_PATTERN, sizeof info);
		CALL(GetMechanismInfo, slot, i < n ? types[i] : 0x7fffffff, &info);
		SHOW(info);
	}
	CALL(GetMechanismInfo, slot, types[0], NULL);
	CALL(GetMechanismInfo, 12345, types[0], &info);
	n = 4;
	CALL(GetMechanismList, 12345, types, &n);
	script_number("n", n);
}

static void show_session(CK_SESSION_HANDLE s)
{
	CK_SESSION_INFO info;

	memset(&info, OUT_PATTERN, sizeof info);
	CALL(GetSessionInfo, s, &info);
	SHOW(info);
}

void chapter_sessions(void)
{
	CK_SESSION_HANDLE s = 0;

	script_initialise();
	CK_SLOT_ID slot = script_slot(SCRIPT_TOKEN);
	CALL(OpenSession, slot, CKF_RW_SESSION, NULL, NULL, &s);
	CALL(OpenSession, 12345, CKF_SERIAL_SESSION, NULL, NULL, &s);
	CALL(OpenSession, slot, CKF_SERIAL_SESSION, NULL, NULL, NULL);
	CK_SESSION_HANDLE reader = script_session(slot, 0), writer;
	show_session(reader);
	CALL(GetSessionInfo, reader, NULL);
	CALL(GetSessionInfo, 999, NULL);
	show_session(999);
	script_login(reader, CKU_SO, HARNESS_SO_PIN);
	script_login(reader, CKU_USER, "wrong pin");
	show_token(slot);
	script_login(reader, CKU_CONTEXT_SPECIFIC, HARNESS_PIN);
	script_login(reader, 77, HARNESS_PIN);
	CALL(Login, reader, CKU_USER, NULL, 0);
	script_login(reader, CKU_USER, HARNESS_PIN);
	script_login(reader, CKU_USER, HARNESS_PIN);
	script_login(reader, CKU_SO, HARNESS_SO_PIN);
	show_session(reader);
	writer = script_session(slot, CKF_RW_SESSION);
	show_session(writer);
	show_token(slot);
	CALL(CloseSession, reader);
	CALL(CloseSession, reader);
	CALL(Logout, reader);
	show_session(writer);
	CALL(Logout, writer);
	CALL(Logout, writer);
	show_session(writer);
	script_login(writer, CKU_SO, HARNESS_SO_PIN);
	show_session(writer);
	script_session(slot, 0);
	script_login(writer, CKU_USER, HARNESS_PIN);
	CALL(CloseAllSessions, slot);
	CALL(CloseAllSessions, slot);
	CALL(CloseAllSessions, 12345);
	show_session(writer);
	show_token(slot);
	/* The last close logs out. */
	s = script_session(slot, CKF_RW_SESSION);
	show_session(s);
	script_login(s, CKU_USER, HARNESS_PIN);
	CALL(CloseSession, s);
	s = script_session(slot, CKF_RW_SESSION);
	show_session(s);
}

static void set_pin(CK_SESSION_HANDLE s, const char *from, const char *to)
{
	CALL(SetPIN, s, (CK_BYTE *)from, strlen(from), (CK_BYTE *)to, strlen(to));
}

void chapter_pins(void)
{
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE s;

	script_initialise();
	slot = script_slot(SCRIPT_SPARE);
	s = script_session(slot, 0);
	set_pin(s, HARNESS_PIN, "another pin");
	CALL(CloseSession, s);
	s = script_session(slot, CKF_RW_SESSION);
	CALL(InitPIN, s, (CK_BYTE *)"new pin", 7);
	set_pin(s, "wrong", "another pin");
	set_pin(s, HARNESS_PIN, "x");
	set_pin(s, HARNESS_PIN, "another pin");
	script_login(s, CKU_USER, HARNESS_PIN);
	script_login(s, CKU_USER, "another pin");
	set_pin(s, "another pin", "third pin");
	CALL(InitPIN, s, (CK_BYTE *)"new pin", 7);
	CALL(Logout, s);
	script_login(s, CKU_SO, HARNESS_SO_PIN);
	CALL(InitPIN, s, (CK_BYTE *)"x", 1);
	CALL(InitPIN, s, (CK_BYTE *)"fourth pin", 10);
	set_pin(s, HARNESS_SO_PIN, "so's new pin");
	CALL(Logout, s);
	script_login(s, CKU_USER, "third pin");
	script_login(s, CKU_USER, "fourth pin");
	CALL(Logout, s);
	script_login(s, CKU_SO, "so's new pin");
	show_token(slot);
}

static void init_token(CK_SLOT_ID slot, const char *pin, const char *label)
{
	CK_BYTE padded[32];

	memset(padded, ' ', sizeof padded);
	memcpy(padded, label, strlen(label));
	CALL(InitToken, slot, (CK_BYTE *)pin, strlen(pin), padded);
	show_token(slot);
}

void chapter_init_token(void)
{
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE s;

	script_initialise();
	slot = script_slot(SCRIPT_SPARE);
	init_token(slot, "wrong pin", "changed");
	s = script_session(slot, CKF_RW_SESSION);
	init_token(slot, HARNESS_SO_PIN, "changed");
	CALL(CloseSession, s);
	init_token(12345, HARNESS_SO_PIN, "changed");
	init_token(slot, HARNESS_SO_PIN, "changed");
	s = script_session(slot, CKF_RW_SESSION);
	script_login(s, CKU_USER, HARNESS_PIN);
	script_login(s, CKU_SO, HARNESS_SO_PIN);
	CALL(InitPIN, s, (CK_BYTE *)HARNESS_PIN, 8);
	CALL(Logout, s);
	script_login(s, CKU_USER, HARNESS_PIN);
	show_session(s);
}
