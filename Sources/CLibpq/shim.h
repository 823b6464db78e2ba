#ifndef HEADWATER_CLIBPQ_SHIM_H
#define HEADWATER_CLIBPQ_SHIM_H
#include <libpq-fe.h>

/// The field codes of PQresultErrorField are character macros, which are not imported into Swift.
static inline int headwater_pg_diag_sqlstate(void) { return PG_DIAG_SQLSTATE; }
static inline int headwater_pg_diag_message(void) { return PG_DIAG_MESSAGE_PRIMARY; }
static inline int headwater_pg_diag_schema(void) { return PG_DIAG_SCHEMA_NAME; }
static inline int headwater_pg_diag_table(void) { return PG_DIAG_TABLE_NAME; }
static inline int headwater_pg_diag_column(void) { return PG_DIAG_COLUMN_NAME; }
static inline int headwater_pg_diag_constraint(void) { return PG_DIAG_CONSTRAINT_NAME; }
#endif
