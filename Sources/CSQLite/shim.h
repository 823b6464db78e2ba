#ifndef HEADWATER_CSQLITE_SHIM_H
#define HEADWATER_CSQLITE_SHIM_H
#include <sqlite3.h>

/// SQLite copies what is bound. (The macro SQLITE_TRANSIENT is not imported into Swift.)
static inline sqlite3_destructor_type headwater_sqlite_transient(void) { return SQLITE_TRANSIENT; }

/// SQLite reads what is bound in place: it must stay where it is until the statement was reset.
static inline sqlite3_destructor_type headwater_sqlite_static(void) { return SQLITE_STATIC; }

/// `sqlite3_db_config` is variadic, so Swift cannot call it.
static inline int headwater_sqlite_db_config_int(sqlite3 *db, int option, int value) {
  return sqlite3_db_config(db, option, value, (int *)0);
}
#endif
