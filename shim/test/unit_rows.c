/* unit_rows.c: JSON text from the database is made fit for one line */
#include "unit.h"

#include "pg_types.h"
#include "rows.h"

static void
check_raw(const char *text, size_t len, const char *wanted)
{
	Buf			b;

	buf_init(&b);
	rows_put_raw_json(&b, text, len);
	CHECK_TEXT(buf_cstr(&b), wanted);
	buf_free(&b);
}

int
main(void)
{
	check_raw("{\"a\": 1}", 8, "{\"a\": 1}");
	check_raw("{\n\t\"a\":\r1}", 10, "{  \"a\": 1}");
	check_raw("\"\xe2\x82\xac\"", 5, "\"\xe2\x82\xac\"");
	check_raw("\"\xff\"", 3, "\"\xef\xbf\xbd\"");
	check_raw("", 0, "");
	check_raw("\"\\ud83d\\uDE00\"", 14, "\"\\ud83d\\uDE00\"");
	check_raw("\"\\ud83d\"", 8, "\"\xef\xbf\xbd\"");
	check_raw("\"\\ud83d\\ud83d\\ude00\"", 20,
			  "\"\xef\xbf\xbd\\ud83d\\ude00\"");
	check_raw("\"\\ude00x\\\\ud83d\\n\"", 18,
			  "\"\xef\xbf\xbdx\\\\ud83d\\n\"");
	check_raw("\"\\", 2, "\"\\");
	CHECK(pg_type_class(23) == PG_TYPE_INTEGER);
	CHECK(pg_type_class(3802) == PG_TYPE_JSON);
	CHECK(pg_type_class(1700) == PG_TYPE_TEXT && pg_type_is_numeric(1700));
	CHECK_TEXT(pg_type_name(16), "boolean");
	CHECK_TEXT(pg_type_name(4096), "regrole");
	CHECK(pg_type_name(4097) == NULL && pg_type_name(0) == NULL);
	UNIT_EXIT();
}
