# JWTs as credentials: what is forged, stale, meant for others or malformed is
# refused, all with the same words. openssl's command line makes the tokens, so
# that our own code is not its own judge.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $openssl = (grep { -x } map { "$_/openssl" } split /:/, $ENV{PATH})[0];
plan skip_all => 'openssl is not installed' unless $openssl;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $issuer = 'https://issuer.example';

sub slurp
{
    my ($file) = @_;

    open(my $handle, '<:raw', $file) or die "$file: $!";
    local $/;
    return scalar <$handle>;
}

sub spew
{
    my ($file, $text) = @_;

    open(my $handle, '>:raw', $file) or die "$file: $!";
    print $handle $text;
    close $handle;
    return $file;
}

sub run_openssl
{
    my @arguments = @_;
    my ($out, $err) = ('', '');

    IPC::Run::run([ $openssl, @arguments ], '<', '/dev/null', '>', \$out,
        '2>', \$err)
      or die "openssl @arguments: $err";
    return $out;
}

# ---- keys ------------------------------------------------------------------

my %keys = (
    rsa => [ 'genpkey', '-algorithm', 'RSA', '-pkeyopt',
        'rsa_keygen_bits:2048' ],
    other => [ 'genpkey', '-algorithm', 'RSA', '-pkeyopt',
        'rsa_keygen_bits:2048' ],
    weak => [ 'genpkey', '-algorithm', 'RSA', '-pkeyopt',
        'rsa_keygen_bits:1024' ],
    ec => [ 'genpkey', '-algorithm', 'EC', '-pkeyopt',
        'ec_paramgen_curve:P-256' ],
    ed => [ 'genpkey', '-algorithm', 'ED25519' ]);
for my $key (sort keys %keys)
{
    run_openssl(@{ $keys{$key} }, '-out', "$dir/$key.pem");
    run_openssl('pkey', '-in', "$dir/$key.pem", '-pubout', '-outform', 'DER',
        '-out', "$dir/$key.der");
}

sub rsa_jwk
{
    my ($key, $kid) = @_;
    my ($modulus) = run_openssl('rsa', '-in', "$dir/$key.pem", '-noout',
        '-modulus') =~ /Modulus=([0-9A-F]+)/;

    return sprintf('{"kty":"RSA","kid":"%s","use":"sig","n":"%s","e":"AQAB"}',
        $kid, encode_base64url(pack('H*', $modulus)));
}

my $point = substr(slurp("$dir/ec.der"), -64);
my $jwks = '{"keys":[' . join(',',
    rsa_jwk('rsa', 'r1'),
    rsa_jwk('weak', 'w1'),
    sprintf('{"kty":"EC","kid":"e1","crv":"P-256","x":"%s","y":"%s"}',
        encode_base64url(substr($point, 0, 32)),
        encode_base64url(substr($point, 32))),
    sprintf('{"kty":"OKP","kid":"d1","crv":"Ed25519","x":"%s"}',
        encode_base64url(substr(slurp("$dir/ed.der"), -32))),
    '{"kty":"oct","kid":"o1","k":"c2VjcmV0"}',
    '{"kty":"EC","kid":"bad","crv":"P-256","x":"AAAA","y":"AAAA"}') . ']}';

# ---- tokens ----------------------------------------------------------------

# R and S of a DER signature, 32 bytes each.
sub raw_ecdsa
{
    my ($der) = @_;
    my @numbers;
    my $at = 2;

    for (1 .. 2)
    {
        my $length = ord(substr($der, $at + 1, 1));
        my $number = substr($der, $at + 2, $length);

        $number =~ s/^\0+//;
        push @numbers, ("\0" x (32 - length $number)) . $number;
        $at += 2 + $length;
    }
    return join '', @numbers;
}

sub sign
{
    my ($text, $key) = @_;

    spew("$dir/text", $text);
    return run_openssl('pkeyutl', '-sign', '-inkey', "$dir/ed.pem", '-rawin',
        '-in', "$dir/text")
      if $key eq 'ed';
    my $signature = run_openssl('dgst', '-sha256', '-sign', "$dir/$key.pem",
        "$dir/text");
    return $key eq 'ec' ? raw_ecdsa($signature) : $signature;
}

sub jwt_of
{
    my ($header, $claims, $key) = @_;
    my $text = encode_base64url($header) . '.' . encode_base64url($claims);

    return "$text." . encode_base64url(sign($text, $key));
}

my $now = time;
my %good = (
    iss => qq{"$issuer"},
    aud => '"shop"',
    sub => '"client-1"',
    email => '"ann@example.com"',
    exp => $now + 600,
    nbf => $now - 5,
    iat => $now - 5,
    scope => '"query propose"');

sub claims
{
    my (%changed) = @_;
    my %claims = (%good, %changed);

    return '{' . join(',', map { qq{"$_":$claims{$_}} }
          grep { defined $claims{$_} } sort keys %claims) . '}';
}

my $rs256 = '{"alg":"RS256","kid":"r1","typ":"JWT"}';

sub rs256
{
    return jwt_of($rs256, claims(@_), 'rsa');
}

# ---- server ----------------------------------------------------------------

my $node = warden_node('main', conf => 'warden.enter_attempts = 1000');
warden_shop($node);
$node->safe_psql('postgres', <<"SQL");
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE refresher LOGIN IN ROLE warden_key_refresher;
SELECT warden.set_issuer('$issuer', 'shop', 'https://issuer.example/jwks', 'query');
SELECT warden.set_issuer('https://other.example', 'shop');
SELECT warden.map_subject('$issuer', 'client-1', 'support', person_claim => 'email');
SELECT warden.map_subject('$issuer', 'robot-*', 'support', 'ron');
SELECT warden.map_subject('$issuer', 'anybody-*', 'support');
SELECT warden.allow_delegation('support', '*\@example.com');
SQL

# The keys come from somebody who may do nothing but that.
warden_ok($node, 'refresher',
    "SELECT warden.set_identity_keys('$issuer', '$jwks')",
    '3', 'the refresher sets keys; weak, symmetric and broken ones are left out');
warden_fails($node, 'refresher',
    qq{SELECT warden.set_identity_keys('$issuer', '{"keys":[]}')},
    '22023', 'a set without keys does not lock everybody out');
warden_fails($node, 'refresher',
    "SELECT warden.set_identity_keys('https://nobody.example', '$jwks')",
    '42704', 'an issuer that is not on file gets no keys');
warden_fails($node, 'refresher',
    "SELECT warden.map_subject('$issuer', 'me', 'support')",
    '42501', 'the refresher maps nobody');
warden_fails($node, 'refresher',
    "DELETE FROM warden.identity_keys", '42501',
    'the refresher deletes nothing');
warden_fails($node, 'support_agent',
    "SELECT warden.set_identity_keys('$issuer', '$jwks')",
    'WD002', 'an agent sets no keys');

sub enter
{
    my ($jwt, $person) = @_;
    my $for = defined $person ? "'$person'" : 'NULL';

    return "BEGIN; SELECT warden.enter('$jwt', $for, '{}', 'k');\n"
      . "SELECT current_setting('warden.agent') || '/' ||"
      . " current_setting('warden.on_behalf_of'); SELECT 1 FROM warden.leave('k'); COMMIT;";
}

sub accepted
{
    my ($jwt, $person, $expected, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return warden_ok($node, 'gateway', enter($jwt, $person),
        qr{^\s*\Q$expected\E$}m, $name);
}

sub refused
{
    my ($jwt, $name, $person) = @_;
    my ($code, $out, $err) =
      warden_psql($node, 'gateway', enter($jwt, $person));

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($code != 0
          && $err =~ /ERROR:  WD001: credential not accepted/
          && $err !~ /DETAIL/, $name)
      || diag("output: $out\nerrors: $err");
}

# ---- what is accepted ------------------------------------------------------

accepted(rs256(), undef, 'support/ann@example.com', 'RS256');
accepted(jwt_of('{"alg":"ES256","kid":"e1"}', claims(), 'ec'),
    undef, 'support/ann@example.com', 'ES256');
accepted(jwt_of('{"alg":"EdDSA","kid":"d1","typ":"at+jwt"}', claims(), 'ed'),
    undef, 'support/ann@example.com', 'EdDSA');
accepted(jwt_of('{"alg":"RS256"}', claims(), 'rsa'),
    undef, 'support/ann@example.com', 'no kid: the issuer\'s keys are tried');
accepted(rs256(aud => '["other","shop"]'), undef, 'support/ann@example.com',
    'audience in a list');
accepted(rs256(scope => undef, scp => '["query"]'), undef,
    'support/ann@example.com', 'scope in a list');
accepted(rs256(nbf => undef, iat => undef), undef, 'support/ann@example.com',
    'nbf and iat may be missing');
accepted(rs256(exp => time - 10), undef, 'support/ann@example.com',
    'clocks may differ a little');
accepted(rs256(sub => '"robot-7"'), undef, 'support/ron',
    'a pattern with a fixed person');
accepted(rs256(sub => '"anybody-7"'), 'eve@example.com',
    'support/eve@example.com', 'a person asserted under a delegation');
accepted(rs256(email => '"z\u00fc\ud83d\ude00@example.com"'), undef,
    "support/z\x{c3}\x{bc}\x{f0}\x{9f}\x{98}\x{80}\@example.com",
    'escapes in a claim');

# ---- what is not -----------------------------------------------------------

my ($head, $body, $signature) = split /\./, rs256();
my $hmac_text = encode_base64url('{"alg":"HS256","kid":"r1"}') . ".$body";
my $public = slurp("$dir/rsa.der");
spew("$dir/text", $hmac_text);
my $hmac = pack('H*', (run_openssl('dgst', '-sha256', '-mac', 'HMAC',
            '-macopt', 'hexkey:' . unpack('H*', $public), "$dir/text") =~
              /([0-9a-f]{64})/)[0]);

refused("$hmac_text." . encode_base64url($hmac),
    'HS256 with the public key as secret');
refused(encode_base64url('{"alg":"none"}') . ".$body.", 'alg none');
refused(encode_base64url('{"alg":"none"}') . ".$body.$signature",
    'alg none with a signature');
refused(encode_base64url('{"alg":"None","kid":"r1"}') . ".$body.$signature",
    'alg None');
refused(encode_base64url('{"kid":"r1"}') . ".$body.$signature", 'no alg');
refused(jwt_of('{"alg":"RS384","kid":"r1"}', claims(), 'rsa'),
    'an algorithm that is not on the list');
refused(jwt_of('{"alg":"ES256","kid":"r1"}', claims(), 'rsa'),
    'an algorithm that does not fit the key');
refused(jwt_of('{"alg":"RS256","kid":"e1"}', claims(), 'rsa'),
    'the right key under another key\'s name');
refused(jwt_of($rs256, claims(), 'other'), 'another key');
refused(jwt_of('{"alg":"RS256","kid":"w1"}', claims(), 'weak'), 'a weak key');
refused(jwt_of('{"alg":"RS256","kid":"../../etc/passwd"}', claims(), 'rsa'),
    'kid as a path');
refused(jwt_of(q({"alg":"RS256","kid":"x' OR '1'='1"}), claims(), 'rsa') =~
      s/'/''/gr, 'kid as SQL');
refused(jwt_of('{"alg":"RS256","kid":7}', claims(), 'rsa'), 'kid as a number');
refused(jwt_of('{"alg":"RS256","kid":"nobody","jwk":'
          . rsa_jwk('other', 'x') . '}', claims(), 'other'),
    'a key that the token brings along');
refused(jwt_of('{"alg":"RS256","jku":"https://evil.example/jwks"}',
        claims(), 'other'), 'a key set that the token points at');
refused(jwt_of('{"alg":"RS256","kid":"r1","crit":["exp"]}', claims(), 'rsa'),
    'critical extensions');
refused(jwt_of('{"alg":"RS256","kid":"r1","typ":"JWE"}', claims(), 'rsa'),
    'another type');
refused(jwt_of('{"alg":"none","alg":"RS256","kid":"r1"}', claims(), 'rsa'),
    'alg twice');
refused(jwt_of($rs256, claims() =~ s/\}$/,"sub":"client-1"}/r, 'rsa'),
    'sub twice');
refused(jwt_of($rs256, claims() =~ s/\}$/,"\\u0073ub":"client-1"}/r, 'rsa'),
    'sub twice, spelt differently');

refused(rs256(exp => $now - 60), 'expired');
refused(rs256(exp => undef), 'no exp');
refused(rs256(exp => '"never"'), 'exp as text');
refused(rs256(exp => '1e12'), 'exp with an exponent');
refused(rs256(exp => '99999999999999999999'), 'exp out of range');
refused(rs256(nbf => $now + 600), 'not yet valid');
refused(rs256(nbf => '"x"'), 'nbf as text');
refused(rs256(iat => $now + 600), 'issued in the future');
refused(rs256(aud => '"other"'), 'wrong audience');
refused(rs256(aud => '[]'), 'no audience in the list');
refused(rs256(aud => undef), 'no audience');
refused(rs256(aud => '{"shop":1}'), 'audience as an object');
refused(rs256(iss => '"https://evil.example"'), 'unknown issuer');
refused(rs256(iss => '"https://other.example"'), 'another issuer\'s key');
refused(rs256(iss => undef), 'no issuer');
refused(rs256(sub => '"client-2"'), 'unknown subject');
refused(rs256(sub => undef), 'no subject');
refused(rs256(sub => '["client-1"]'), 'subject as a list');
refused(rs256(email => undef), 'no person where the mapping wants one');
refused(rs256(email => '""'), 'an empty person');
refused(rs256(email => '"a\u0000b"'), 'NUL in a claim');
refused(rs256(email => '"a\nb"'), 'a line break in a claim');
refused(rs256(email => '"\ud800"'), 'half a surrogate');

# A scope that is too small is told to whom everything else is granted.
sub too_small
{
    my ($jwt, $name) = @_;
    my ($code, $out, $err) = warden_psql($node, 'gateway', enter($jwt));

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($code != 0
          && $err =~ /ERROR:  WD001: the scope of this credential does not/
          && $err =~ /DETAIL:  scope=query$/m, $name)
      || diag("output: $out\nerrors: $err");
}

too_small(rs256(scope => '"propose"'), 'scope missing');
too_small(rs256(scope => '"querying"'), 'scope is compared by word');
too_small(rs256(scope => undef), 'no scope');
refused(rs256(scope => undef, exp => $now - 60), 'no scope, and expired');
refused(rs256(scope => undef, sub => '"client-2"'),
    'no scope, and nobody known');
refused(jwt_of($rs256, claims(scope => undef), 'other'),
    'no scope, and forged');

# query without propose reads and changes nothing.
sub as_agent
{
    my ($scope, $sql) = @_;

    return warden_psql($node, 'gateway',
        "BEGIN; SELECT warden.enter('" . rs256(scope => $scope)
          . "', NULL, '{}', 'k');\n$sql;\nSELECT warden.leave('k'); COMMIT;");
}

for my $write (q{UPDATE customers SET name = 'x'},
    q{SELECT warden.propose('DELETE FROM customers', 't', 'r')},
    q{SELECT warden.withdraw(1)})
{
    my ($code, $out, $err) = as_agent('"query"', $write);
    ok($code != 0
          && $err =~ /WD001: the scope of this credential is for reading only/
          && $err =~ /DETAIL:  scope=query propose$/m,
        "scope query: $write is refused") || diag("$out$err");
}
my ($read_code, undef, $read_err) =
  as_agent('"query"', 'SELECT count(*) FROM customers');
is($read_code, 0, 'scope query: a read runs') || diag($read_err);
my ($write_code, undef, $write_err) =
  as_agent('"query propose"', q{UPDATE customers SET name = 'x'});
is($write_code, 0, 'scope query propose: a write is recorded')
  || diag($write_err);

# Whoever put the key on file could have signed it, and so approves nothing.
$node->safe_psql('postgres', <<'SQL');
GRANT warden_reviewer TO refresher;
SELECT warden.add_person('rob', 'refresher');
SQL
my $change = $node->safe_psql('postgres',
    'SELECT max(id) FROM warden.pending_changes');
warden_fails($node, 'refresher', "SELECT warden.approve($change, 'mine')",
    'WD007', 'who has set the key is taken for the issuer');
warden_ok($node, 'shop_reviewer', "SELECT warden.approve($change, 'ok')",
    'proposed', 'another reviewer does, as the first of two');

my $flipped = $signature;
substr($flipped, 5, 1) = substr($flipped, 5, 1) eq 'A' ? 'B' : 'A';
refused("$head.$body.$flipped", 'a flipped bit in the signature');
refused("$head." . encode_base64url(claims(sub => '"robot-1"'))
      . ".$signature", 'other claims under the signature');
refused("$head.$body.", 'no signature');
refused("$head.$body", 'two parts');
refused("$head.$body.$signature.", 'four parts');
refused("$head.$body.$signature=", 'padding');
refused("$head.$body. $signature", 'a blank');
refused('..', 'nothing but dots');
refused('.' x 5000, 'many dots');
refused("$head." . ('A' x 9000) . ".$signature", 'oversized');
refused(jwt_of($rs256, '[' x 2000 . ']' x 2000, 'rsa'), 'deep nesting');
refused(jwt_of($rs256, '{"a":' x 20 . '1' . '}' x 20, 'rsa'), 'nested objects');
refused(jwt_of($rs256, '"text"', 'rsa'), 'claims that are no object');
refused(jwt_of($rs256, claims() . 'x', 'rsa'), 'more after the claims');
refused(jwt_of($rs256, claims() =~ s/.$//r, 'rsa'), 'claims cut off');

my ($code, $out, $err) = warden_psql($node, 'gateway',
    enter(rs256(), 'bob@example.com'));
like($err, qr/WD001: this credential acts for another person/,
    'the person of the token can not be replaced');

refused(jwt_of('{"alg":"RS256","kid":""}', claims(), 'rsa'), 'an empty kid');

# ---- taking back what was issued -------------------------------------------

sub issued_after
{
    my ($time) = @_;

    return $node->safe_psql('postgres',
        "UPDATE warden.identity_subjects SET issued_after = $time"
          . " WHERE subject = 'client-1'");
}

issued_after("to_timestamp($now - 100)");
accepted(rs256(iat => $now - 100), undef, 'support/ann@example.com',
    'issued just then');
refused(rs256(iat => $now - 101), 'issued before');
refused(rs256(iat => undef), 'issued nobody knows when');
issued_after('NULL');
accepted(rs256(iat => $now - 101), undef, 'support/ann@example.com',
    'once more');

# ---- a transaction that stays open -----------------------------------------

my $wire = wire_connect($node, 'gateway');

sub goes_on
{
    my ($claims, $person, $done, $expected, $name) = @_;
    my $for = $person // '';

    wire_answers($wire, wire_query('BEGIN'));
    wire_answers($wire,
        wire_query("SELECT warden.enter('" . rs256(%$claims)
              . "', '$for', '{}', 'k')"));
    $node->safe_psql('postgres', $done);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(join(',', wire_answers($wire, wire_query('SELECT 7'))), $expected, $name);
    wire_answers($wire, wire_query("SELECT warden.leave('k')"));
    wire_answers($wire, wire_query('ROLLBACK'));
    return;
}

my $sold = "UPDATE warden.identity_subjects SET issued_after = now()"
  . " WHERE subject = 'client-1'";
my $off = "UPDATE warden.identity_issuers SET enabled = false"
  . " WHERE issuer = '$issuer'";

goes_on({}, undef, 'SELECT 1', '7', 'while nothing has changed');
goes_on({}, undef, "SELECT warden.disable_agent('support');"
      . " SELECT warden.enable_agent('support')", '7',
    'or what has changed is as before');
goes_on({}, undef, $sold, 'WD001', 'not when it was taken back');
issued_after('NULL');
goes_on({}, undef, $off, 'WD001', 'nor when its issuer is disabled');
$node->safe_psql('postgres', $off =~ s/false/true/r);
goes_on({ sub => '"anybody-7"' }, 'eve@example.com',
    "DELETE FROM warden.delegations WHERE agent = 'support'", 'WD001',
    'nor when the agent may act for that person no more');
$node->safe_psql('postgres',
    q{SELECT warden.allow_delegation('support', '*@example.com')});
goes_on({ sub => '"anybody-7"' }, 'eve@example.com', $sold, '7',
    'others\' subjects do not matter');
issued_after('NULL');
close $wire;

# ---- two patterns are no answer; what is withdrawn is gone -----------------

$node->safe_psql('postgres', <<"SQL");
SELECT warden.map_subject('$issuer', '*-7', 'support', 'ron');
SQL
refused(rs256(sub => '"robot-7"'), 'two patterns match');
accepted(rs256(sub => '"robot-8"'), undef, 'support/ron', 'one matches');
$node->safe_psql('postgres',
    "UPDATE warden.identity_issuers SET enabled = false WHERE issuer = '$issuer'");
refused(rs256(), 'a disabled issuer');
$node->safe_psql('postgres',
    "UPDATE warden.identity_issuers SET enabled = true WHERE issuer = '$issuer'");
my $other_set = '{"keys":[' . rsa_jwk('other', 'r2') . ']}';
$node->safe_psql('postgres',
    "SELECT warden.set_identity_keys('$issuer', '$other_set')");
refused(rs256(), 'a key that was replaced');
accepted(jwt_of('{"alg":"RS256","kid":"r2"}', claims(), 'other'), undef,
    'support/ann@example.com', 'the key that replaced it');
$node->safe_psql('postgres', "SELECT warden.disable_agent('support')");
refused(jwt_of('{"alg":"RS256","kid":"r2"}', claims(), 'other'),
    'a disabled agent');

my $log = slurp($node->logfile);
unlike($log, qr/eyJ[A-Za-z0-9_-]{30}/, 'no token is in the server log');
for my $fault (
    'is no JWT of an algorithm that is accepted',
    'JWT\'s issuer is not on file, or disabled',
    'JWT is not signed by a key on file of its issuer',
    'JWT is for another audience',
    'JWT has expired, or is not valid yet',
    'Not exactly one row of warden.identity_subjects fits the JWT',
    'JWT lacks the claim that names the person',
    'Agent "support" is disabled')
{
    like($log, qr/DETAIL:  .*\Q$fault\E/, "the log says why: $fault");
}

done_testing();
