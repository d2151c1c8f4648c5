/* module.c - loading, initialising, finalising and forking. */
#include "plugin/module.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/handle.h"
#include "plugin/object.h"
#include "plugin/service.h"

struct module module;

/* Guards loading and the change of state; held across the HSM's C_Initialize and C_Finalize, which
 * no caller may run side by side. */
static pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER;
static bool fork_watched;     /* state_lock */
static char loaded[PATH_MAX]; /* state_lock; path of module.hsm */

/* The child has one thread and a copy of everything, mid-change wherever other threads were: start
 * from nothing, free nothing. */
static void forked(void)
{
	if (atomic_load(&module.state) == MODULE_READY)
		atomic_store(&module.state, MODULE_FORKED);
	pthread_mutex_init(&state_lock, NULL);
	service_forked();
	session_forked();
	slot_forked();
	object_forked();
	handle_forked();
}

static enum err find_self(void)
{
	Dl_info info;

	if (!dladdr(&module, &info) || !info.dli_fname || !realpath(info.dli_fname, module.self))
		return failed(ERR_NOT_FOUND, "the module's own file: %m");
	return OK;
}

/* A configuration that is named must be there; the default one may be missing. */
static enum err load_config(void)
{
	const char *path = config_path();

	if (module.config)
		return OK;
	enum err e = config_load(path, &module.config);
	if (e == ERR_NOT_FOUND && !strcmp(path, CONFIG_PATH_DEFAULT))
		return OK;
	return e;
}

static enum err load_hsm(void)
{
	const char *path = secure_getenv(HSM_MODULE_VARIABLE);

	if (!path || !*path)
		path = module.config ? module.config->hsm_module : "";
	if (!*path)
		return failed(ERR_USAGE, "no HSM module: set hsm.module or %s",
			      HSM_MODULE_VARIABLE);
	if (module.hsm.library && !strcmp(path, loaded))
		return OK;
	char real[PATH_MAX];
	if (realpath(path, real) && !strcmp(real, module.self))
		return failed(ERR_USAGE, "the HSM module is Assay itself");
	if (strlen(path) >= sizeof loaded)
		return failed(ERR_RANGE, "path of the HSM module");
	struct lower fresh;
	enum err e = lower_open(path, &fresh);
	if (e)
		return e;
	/* The one before, if any, stays loaded: another library may still be in it. */
	module.hsm = fresh;
	memcpy(loaded, path, strlen(path) + 1);
	return OK;
}

static enum err load_locked(void)
{
	enum err e;

	if (!fork_watched && pthread_atfork(NULL, NULL, forked))
		return failed(ERR_MEMORY, "pthread_atfork");
	fork_watched = true;
	if ((e = find_self()) || (e = load_config()) || (e = load_hsm()))
		return e;
	return OK;
}

enum err module_load(void)
{
	pthread_mutex_lock(&state_lock);
	enum err e = module_ready() || module.hsm.library ? OK : load_locked();
	pthread_mutex_unlock(&state_lock);
	return e;
}

/* Between two initialisations the environment and the configuration may change. */
static CK_RV reload_locked(void)
{
	if (atomic_load(&module.state) == MODULE_DOWN && module.config)
		config_free(STEAL(module.config));
	return load_locked() ? CKR_GENERAL_ERROR : CKR_OK;
}

/* What the HSM's module says is the answer. Where it was initialised already (the host uses it
 * directly as well, or a child inherited it), it goes on working, and so do we. */
CK_RV hook_Initialize(void *init_args)
{
	pthread_mutex_lock(&state_lock);
	CK_RV rv = module_ready() ? CKR_OK : reload_locked();
	if (rv == CKR_OK) {
		rv = HSM(Initialize)(init_args);
		if (rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
			atomic_store(&module.state, MODULE_READY);
	}
	pthread_mutex_unlock(&state_lock);
	return rv;
}

CK_RV hook_Finalize(void *reserved)
{
	pthread_mutex_lock(&state_lock);
	CK_RV rv = CKR_CRYPTOKI_NOT_INITIALIZED;
	if (module_ready()) {
		service_revoke_all();
		rv = HSM(Finalize)(reserved);
	}
	if (rv == CKR_OK) {
		atomic_store(&module.state, MODULE_DOWN);
		if (module_watching()) {
			session_drop_all();
			slot_drop_all();
			service_close();
		}
	}
	pthread_mutex_unlock(&state_lock);
	return rv;
}
