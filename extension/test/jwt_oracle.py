#!/usr/bin/python3
"""JWTs, and what another implementation of JOSE thinks of them.

jwt_oracle.py ISSUER AUDIENCE SEED prints the issuer's JWK set on a line, then
a line for each of some hundred tokens: verdict (accept or refuse), what we may
do about it (same: only that, stricter: refuse all the same), what it is, and
the token. jwcrypto makes the tokens, signs what was mutated, and decides.

Whatever the seed, a token that jwcrypto refuses must be refused.
"""

import base64
import json
import random
import sys
import time

from jwcrypto import jwa, jwk, jwt

ISSUER, AUDIENCE, SEED = sys.argv[1:4]
NOW = int(time.time())
ALGORITHMS = ['RS256', 'ES256', 'EdDSA']
KEYS = {
    'RS256': jwk.JWK.generate(kty='RSA', size=2048, kid='r', use='sig'),
    'ES256': jwk.JWK.generate(kty='EC', crv='P-256', kid='e', use='sig'),
    'EdDSA': jwk.JWK.generate(kty='OKP', crv='Ed25519', kid='d', use='sig')}
STRANGER = {
    'RS256': jwk.JWK.generate(kty='RSA', size=2048, kid='r', use='sig'),
    'ES256': jwk.JWK.generate(kty='EC', crv='P-256', kid='e', use='sig'),
    'EdDSA': jwk.JWK.generate(kty='OKP', crv='Ed25519', kid='d', use='sig')}
KEY_SET = jwk.JWKSet()
for key in KEYS.values():
    KEY_SET.add(jwk.JWK.from_json(key.export_public()))

rng = random.Random(int(SEED))


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def decode(text):
    try:
        return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))
    except (ValueError, UnicodeEncodeError):
        return None


def canonical(token):
    """Whether each part is what encoding its bytes gives."""
    parts = token.split('.')
    return all(decode(p) is not None and encode(decode(p)) == p for p in parts)


def verdict(token):
    """What jwcrypto says, and the one subject that is mapped."""
    wanted = {'iss': ISSUER, 'aud': AUDIENCE, 'exp': None, 'sub': 'client'}
    try:
        if 'nbf' in json.loads(decode(token.split('.')[1])):
            wanted['nbf'] = None
        checked = jwt.JWT(jwt=token, key=KEY_SET, algs=ALGORITHMS,
                          check_claims=wanted)
        return isinstance(json.loads(checked.claims), dict)
    except Exception:  # whatever it raises, it is not accepted
        return False


def header(key, **more):
    members = {'alg': key, 'kid': KEYS[key]['kid'], 'typ': 'JWT'}
    members.update(more)
    return {k: v for k, v in members.items() if v is not ...}


def claims(**more):
    members = {'iss': ISSUER, 'aud': AUDIENCE, 'sub': 'client',
               'exp': NOW + 86400, 'iat': NOW - 60, 'jti': 'one'}
    members.update(more)
    return {k: v for k, v in members.items() if v is not ...}


def issue(alg):
    token = jwt.JWT(header=header(alg), claims=claims())
    token.make_signed_token(KEYS[alg])
    return token.serialize()


def sign(alg, head, body, key=None):
    """Signs whatever text, as jwcrypto itself would refuse to."""
    def text(value):
        if isinstance(value, bytes):
            return value
        if not isinstance(value, str):
            value = json.dumps(value)
        return value.encode('utf-8', 'surrogatepass')
    signed = encode(text(head)) + '.' + encode(text(body))
    signer = jwa.JWA.signing_alg(alg)
    return signed + '.' + encode(signer.sign(key or KEYS[alg],
                                             signed.encode()))


seen = set()


def put(what, token, may='same'):
    if token in seen or '\n' in token or '\0' in token:
        return
    seen.add(token)
    print('accept' if verdict(token) else 'refuse', may, what, token,
          sep='\t')


# ---- characters -------------------------------------------------------------

SPICE = 'AZaz09-_+/=.%~ é"\''


def mutate(token):
    at = rng.randrange(len(token))
    kind = rng.randrange(9)
    if kind == 0:
        return token[:at] + rng.choice(SPICE) + token[at + 1:]
    if kind == 1:
        return token[:at] + token[at + 1:]
    if kind == 2:
        return token[:at] + rng.choice(SPICE) + token[at:]
    if kind == 3:
        return token[:at]
    if kind == 4:
        return token[:at] + token[at:at + 4] + token[at:]
    if kind == 5:
        return token[:at] + token[at:at + 2][::-1] + token[at + 2:]
    if kind == 6:
        parts = token.split('.')
        rng.shuffle(parts)
        return '.'.join(parts)
    parts = token.split('.')
    which = rng.randrange(len(parts))
    data = bytearray(decode(parts[which]) or b'x')
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    parts[which] = encode(bytes(data))
    return '.'.join(parts)


def characters(count):
    tokens = [issue(alg) for alg in ALGORITHMS]
    for token in tokens:
        put('as issued', token)
    for one in tokens:
        for other in tokens:
            parts = one.split('.')
            put('signature of another',
                '.'.join(parts[:2] + [other.split('.')[2]]))
            put('header of another',
                '.'.join([other.split('.')[0]] + parts[1:]))
    for _ in range(count):
        token = mutate(rng.choice(tokens))
        if rng.randrange(5) == 0:
            token = mutate(token or 'x')
        put('characters', token, 'same' if canonical(token) else 'stricter')


# ---- claims and headers that are signed -------------------------------------

TIMES = [NOW + 86400, NOW - 86400, NOW + 10 ** 6, 0, -1, 1, 2 ** 31, 2 ** 33,
         10 ** 18, 10 ** 30, True, False, None, '', 'soon', str(NOW + 86400),
         [], {}, [NOW + 86400], ...]
TEXTS = [ISSUER, AUDIENCE, 'client', ISSUER + '/', ISSUER.upper(), ' ' + ISSUER,
         'clien', 'client ', 'Client', 'cli\u0435nt', 'client\0', 'client\n',
         '', '*', '?', 'client%', 7, 7.5, True, None, [], {}, ['client'],
         [ISSUER], [AUDIENCE], [AUDIENCE, 'other'], ['other', AUDIENCE],
         ['other'], [AUDIENCE, 7], {'client': 1}, {AUDIENCE: 1}, ...,
         "client' OR '1'='1", 'x' * 300]
KIDS = ['r', 'e', 'd', 'x', '', 'R', 'r ', "r' OR '1'='1", '../r', 7, None,
        [], ['r'], {}, True, 'r' * 300, ...]
ALGS = ALGORITHMS + ['none', 'None', 'HS256', 'RS384', 'ES384', 'PS256',
                     'rs256', 'RS256 ', '', 'EdDSA2', 'ES256K', 7, None, [],
                     ['RS256'], ...]


def some_claims():
    name = rng.choice(['iss', 'aud', 'sub', 'exp', 'nbf', 'iat'])
    timed = name in ('exp', 'nbf', 'iat')
    value = rng.choice(TIMES if timed else TEXTS)
    # Where jwcrypto is less strict, or the standard is: iat lies in the past,
    # and every time is a number within reason, no text or truth value.
    stricter = timed and (name == 'iat' or isinstance(value, (bool, str))
                          or isinstance(value, int)
                          and not 0 <= value <= 2 ** 33)
    # No list of audiences that holds anything but texts.
    stricter |= name == 'aud' and isinstance(value, list)
    return claims(**{name: value}), name, stricter


def signed_claims(count):
    for _ in range(count):
        alg = rng.choice(ALGORITHMS)
        body, name, stricter = some_claims()
        put('claim ' + name, sign(alg, header(alg), body),
            'stricter' if stricter else 'same')


def signed_headers(count):
    for _ in range(count):
        alg = rng.choice(ALGORITHMS)
        name = rng.choice(['alg', 'kid', 'typ', 'cty', 'crit', 'jwk', 'jku',
                           'x5c', 'b64', 'zip', 'other'])
        value = {
            'alg': lambda: rng.choice(ALGS),
            'kid': lambda: rng.choice(KIDS),
            'typ': lambda: rng.choice(['JWT', 'jwt', 'at+jwt', 'JOSE', '', 7,
                                       None, [], ...]),
            'crit': lambda: rng.choice([[], ['exp'], ['b64'], ['alg'], 'exp',
                                        None, 7, {}]),
            'jwk': lambda: json.loads(STRANGER[alg].export_public()),
            'b64': lambda: rng.choice([True, False, None, 7]),
        }.get(name, lambda: rng.choice(['x', 7, None, ['x'], {}]))()
        stranger = rng.randrange(4) == 0
        # We look at kid before alg, want types that are JWTs', and nothing
        # critical or unencoded at all.
        put('header ' + name, sign(alg, header(alg, **{name: value}), claims(),
                                   STRANGER[alg] if stranger else None),
            'same' if name in ('alg', 'jwk', 'jku', 'x5c', 'other')
            else 'stricter')


def spelled(body):
    """The same JSON in other words, or words that are no JSON."""
    text = json.dumps(body)
    kind = rng.randrange(14)
    if kind == 0:
        return json.dumps(body, indent=rng.randrange(4)), 'same'
    if kind == 1:
        members = list(body.items())
        rng.shuffle(members)
        return json.dumps(dict(members)), 'same'
    if kind == 2:
        at = text.index('client')
        letter = rng.randrange(6)
        return (text[:at + letter] + '\\u%04x' % ord('client'[letter])
                + text[at + letter + 1:]), 'same'
    if kind == 3:
        return text.replace('"sub"', '"s\\u0075b"'), 'same'
    if kind == 4:
        return text + rng.choice([' ', '\t\r\n', '  ']), 'same'
    if kind == 5:
        return text + rng.choice(['x', '{}', ',', '\0', '//']), 'same'
    if kind == 6:
        return text[:-1] + rng.choice([',}', ', }', ';}', '', ']', '}}']), 'same'
    if kind == 7:
        return "'" + text + "'", 'same'
    if kind == 8:
        return text.replace('"', "'"), 'same'
    if kind == 9:                           # Python takes the last one
        return text[:-1] + rng.choice([
            ', "sub": "client"}', ', "sub": "other"}', ', "exp": 1}',
            ', "s\\u0075b": "client"}', ', "x": 1, "x": 2}']), 'stricter'
    if kind == 10:                          # Python's own additions to JSON
        return text[:-1] + ', "x": %s}' % rng.choice(
            ['NaN', 'Infinity', '-Infinity', '1e999', '0x10', '01', '+1',
             '.5', '1.', '"\t"', '"\\x41"', '"\\ud800"']), 'stricter'
    if kind == 11:
        depth = rng.choice([1, 3, 20, 500])
        return text[:-1] + ', "x": %s}' % ('[' * depth + ']' * depth), 'stricter'
    if kind == 12:
        return text[:-1] + ''.join(
            ', "x%d": %d' % (i, i) for i in range(rng.choice([1, 30, 200]))) \
            + '}', 'stricter'
    return '\ufeff' + text, 'same'


def signed_spellings(count):
    for _ in range(count):
        alg = rng.choice(ALGORITHMS)
        text, may = spelled(claims())
        put('spelling', sign(alg, header(alg), text), may)
    for _ in range(count // 3):
        alg = rng.choice(ALGORITHMS)
        text = json.dumps(claims()).encode()
        at = rng.randrange(len(text))
        text = text[:at] + bytes([rng.randrange(256)]) + text[at + 1:]
        # A number of 10^50 seconds is no time; a byte may double a member.
        put('byte', sign(alg, header(alg), text), 'stricter')


print(KEY_SET.export(private_keys=False))
characters(220)
signed_claims(170)
signed_headers(130)
signed_spellings(120)
