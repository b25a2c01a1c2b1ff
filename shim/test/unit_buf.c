/* unit_buf.c: growth, limits and JSON escaping */
#include "unit.h"

#include "buf.h"

#include <stdlib.h>

static void
check_json(const char *text, size_t len, const char *wanted)
{
	Buf			b;

	buf_init(&b);
	buf_json_string(&b, text, len);
	CHECK_TEXT(buf_cstr(&b), wanted);
	buf_free(&b);
}

static void
test_growth(void)
{
	Buf			b;

	buf_init(&b);
	CHECK_TEXT(buf_cstr(&b), "");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	CHECK(buf_ok(&b) && b.len == 3890 && b.data[b.len] == '\0');
	buf_truncate(&b, 4);
	CHECK_TEXT(buf_cstr(&b), "0,1,");
	buf_truncate(&b, 100);
	CHECK(b.len == 4);
	buf_int(&b, -9223372036854775807LL - 1);
	CHECK_TEXT(buf_cstr(&b), "0,1,-9223372036854775808");
	buf_free(&b);
}

static void
test_limits(void)
{
	Buf			b;

	buf_init(&b);
	buf_puts(&b, "x");
	CHECK(!buf_reserve(&b, (size_t) -1));
	CHECK(!buf_ok(&b));
	buf_puts(&b, "y");
	CHECK(b.len == 1);
	buf_reset(&b);
	CHECK(buf_ok(&b) && b.len == 0);
	CHECK(!buf_reserve(&b, BUF_MAX));
	buf_free(&b);
}

static void
test_escapes(void)
{
	check_json("plain text of more than eight", 29,
			   "\"plain text of more than eight\"");
	check_json("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
	check_json("\n\r\t\x01\x1f\x7f", 6, "\"\\n\\r\\t\\u0001\\u001f\x7f\"");
	check_json("a\0b", 3, "\"a\\u0000b\"");
	check_json("12345678\"12345678", 17, "\"12345678\\\"12345678\"");
	check_json("1234567\n", 8, "\"1234567\\n\"");
	check_json("", 0, "\"\"");
}

/* Each byte at each place of texts that are copied in different steps. */
static void
test_plain(void)
{
	char		text[40];
	Buf			string;
	Buf			chars;
	int			wrong = 0;

	for (size_t n = 1; n <= sizeof(text); n++)
		for (size_t at = 0; at < n; at++)
			for (int c = 0; c < 256; c++)
			{
				bool		plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

				memset(text, 'x', n);
				text[at] = (char) c;
				buf_init(&string);
				buf_init(&chars);
				wrong += buf_json_string(&string, text, n) != plain;
				buf_json_chars(&chars, text, n);
				wrong += string.len != chars.len + 2 ||
					memcmp(string.data + 1, chars.data, chars.len) != 0 ||
					string.data[0] != '"' || string.data[string.len - 1] != '"';
				wrong += (buf_plain_run(text, n) == n) != plain;
				buf_free(&string);
				buf_free(&chars);
			}
	CHECK(wrong == 0);
}

static void
test_utf8(void)
{
	check_json("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98", 12,
			   "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98\"");
	check_json("\xff", 1, "\"\xef\xbf\xbd\"");
	check_json("\xc3", 1, "\"\xef\xbf\xbd\"");
	check_json("\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	check_json("\xed\xa0\x80x", 4,
			   "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\"");
	check_json("\xf4\x90\x80\x80", 4,
			   "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	CHECK(buf_utf8_len((const unsigned char *) "\xe2\x82\xac", 3) == 3);
	CHECK(buf_utf8_len((const unsigned char *) "\xe2\x82\xac", 2) == 0);
}

/* What text stands for; "-" where it stands for nothing. */
static const char *
decoded(const char *text, bool url)
{
	static char value[32];
	Buf			b;

	buf_init(&b);
	snprintf(value, sizeof(value), "%s",
			 buf_base64(&b, text, strlen(text), url) ? buf_cstr(&b) : "-");
	buf_free(&b);
	return value;
}

static void
test_base64(void)
{
	static const char *const wrong[] = {
		"Zg", "Zg=", "Zg===", "=", "Z===", "Zg==Zg==", "Zm9v!A==", "Zm-_"
	};

	CHECK(strcmp(decoded("", false), "") == 0);
	CHECK(strcmp(decoded("Zg==", false), "f") == 0);
	CHECK(strcmp(decoded("Zm8=", false), "fo") == 0);
	CHECK(strcmp(decoded("Zm9v", false), "foo") == 0);
	CHECK(strcmp(decoded("+/+/", false), "\xfb\xff\xbf") == 0);
	CHECK(strcmp(decoded("-_-_", true), "\xfb\xff\xbf") == 0);
	CHECK(strcmp(decoded("Zg", true), "f") == 0);
	CHECK(strcmp(decoded("Zg==", true), "-") == 0);
	CHECK(strcmp(decoded("+/+/", true), "-") == 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(strcmp(decoded(wrong[i], false), "-") == 0);
}

int
main(void)
{
	test_growth();
	test_limits();
	test_escapes();
	test_plain();
	test_utf8();
	test_base64();
	UNIT_EXIT();
}
