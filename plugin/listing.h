/* listing.h - the daemon's lists of applications and results become objects (object.h). Any thread; each
 * call may ask the daemon (service.h), whose errors it gives.
 */
#ifndef PLUGIN_LISTING_H
#define PLUGIN_LISTING_H

#include "plugin/session.h"

/* Brings the slot's applications and the loader up to what the daemon has, unless that was done a moment
 * ago. */
MUST enum err listing_apps(struct session *session, const struct partition *p);
/* What the daemon has changed: the next call asks. */
void listing_apps_stale(struct slot *slot);
/* Likewise the role's results, those of one label unless it is empty. Results that are still there
 * afterwards have at least *listing as theirs; older handles stay good until a fetch fails. */
MUST enum err listing_results(struct session *session, const struct partition *p,
			      struct slice label, uint64_t *listing);

#endif
