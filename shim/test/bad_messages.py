"""Messages that are wrong, with the JSON-RPC error code each is answered by and
its HTTP status, whatever the transport; and ids that are right.  The limit on
bodies is MAX_BODY."""

MAX_BODY = 65536
PARSE, INVALID, METHOD, PARAMS = -32700, -32600, -32601, -32602


def ping(identifier):
    return b'{"jsonrpc":"2.0","id":' + identifier + b',"method":"ping"}'


def call(params):
    return (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' +
            params + b"}")


def query(sql):
    return call(b'{"name":"query","arguments":{"sql":' + sql + b"}}")


# no JSON, or JSON that says two things
UNREADABLE = [
    (b"{", "an open object"),
    (b'{"jsonrpc":"2.0","id":1,"meth', "cut JSON"),
    (b"nonsense", "no JSON"),
    (ping(b"1") + b"{}", "two values"),
    (ping(b"1")[:-1] + b",}", "a comma too many"),
    (ping(b"NaN"), "NaN"),
    (ping(b"01"), "a leading zero"),
    (ping(b"'a'"), "single quotes"),
    (b"\xef\xbb\xbf" + ping(b"1"), "a byte order mark"),
    (ping(b'"\xff"'), "invalid UTF-8"),
    (ping(b'"\xc0\xaf"'), "overlong UTF-8"),
    (ping(b'"\xed\xa0\x80"'), "a surrogate in UTF-8"),
    (ping(b'"\\ud800"'), "a lone high surrogate"),
    (ping(b'"\\udc00"'), "a lone low surrogate"),
    (query(b'"\\udfff\\ud800"'), "surrogates in the wrong order"),
    (ping(b'"a\0b"'), "a bare NUL"),
    (b'{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}',
     "a duplicate key"),
    (ping(b'1,"\\u0069d":2'), "a duplicate key that is escaped"),
    (query(b'"SELECT 1","sql":"SELECT 2"'), "a duplicate key deep down"),
]

# JSON that is no message
NO_MESSAGE = [
    (b"[" * 10000 + b"]" * 10000, "arrays 10,000 deep"),
    (b'{"a":' * 10000 + b"1" + b"}" * 10000, "objects 10,000 deep"),
    (query(b"[" * 10000 + b"]" * 10000), "arguments 10,000 deep"),
    (b"null", "null"),
    (b"true", "true"),
    (b"7", "a number"),
    (b'"ping"', "a string"),
    (b"{}", "an empty object"),
    (b"[]", "an empty batch"),
    (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', "another JSON-RPC"),
    (b'{"jsonrpc":2.0,"id":1,"method":"ping"}', "its version as a number"),
    (b'{"id":1,"method":"ping"}', "its version missing"),
    (b'{"jsonrpc":"2.0","id":1}', "no method"),
    (b'{"jsonrpc":"2.0","id":1,"method":5}', "a method that is a number"),
    (b'{"jsonrpc":"2.0","id":1,"method":"a\\u0000b"}', "a NUL in the method"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":7}',
     "params as a number"),
] + [(ping(i), f"id {i.decode()}") for i in (
    b"null", b"true", b"false", b"1.5", b"1.0", b"1e2", b"{}", b"[]", b"[1]",
    b'{"a":1}')] + [
        (ping(b'"' + b"x" * 513 + b'"'), "an id too long"),
        (ping(b"9" * 60000), "an id of 60,000 digits"),
        (ping(b"1e999"), "an id above all"),
        (ping(b"0.12345678901234567890"), "an id with a long fraction")]

# messages that ask for the wrong thing: code, HTTP status
WRONG = [
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', PARAMS, 400,
     "params as an array"),
    (b'{"jsonrpc":"2.0","id":1,"method":"nope"}', METHOD, 200,
     "an unknown method"),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}', PARAMS, 200,
     "no params"),
    (call(b'{"name":"nope"}'), PARAMS, 200, "an unknown tool"),
    (call(b'{"name":["query"]}'), PARAMS, 200, "a tool name of another type"),
    (call(b'{"name":"query\\u0000"}'), PARAMS, 200, "a tool name with a NUL"),
    (call(b'{"name":"query","arguments":"x"}'), PARAMS, 200,
     "arguments of another type"),
]

BAD = ([(data, PARSE, 400, what) for data, what in UNREADABLE] +
       [(data, INVALID, 400, what) for data, what in NO_MESSAGE] + WRONG)

GOOD_IDS = ["0", "-7", "9223372036854775807", "-9223372036854775808",
            "9223372036854775808", "-9223372036854775809", '""',
            '"a"', '"1"', '"\\u0000\\"\\n"', '"\\ud83d\\ude00"', '"\u00e9"',
            '"' + "x" * 512 + '"']
