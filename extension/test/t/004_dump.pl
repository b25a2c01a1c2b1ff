# A dump restored on another server governs as the original did: labels are
# pg_dump's business, our tables' rows are dumped because they are registered.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $from = warden_node('from');
my $to = warden_node('to', extension => 0);

warden_shop($from);
$from->safe_psql('postgres', <<'SQL');
SELECT warden.set_mask('email', 'full');
SELECT warden.grant_exemption('support_agent', 'customers.id', 'infinity', 'test');
CREATE DOMAIN code AS text;
CREATE TABLE codes (code code, pin text);
INSERT INTO codes VALUES ('078-05-4801', '1234');
SECURITY LABEL FOR warden ON COLUMN codes.code IS 'ssn';
ALTER DOMAIN code ADD CHECK (VALUE ~ '^[0-9-]+$');
CREATE FUNCTION pin_mask(text) RETURNS text LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog AS $$ SELECT left($1, 1) $$;
SELECT warden.define_type('pin', 'func(public.pin_mask)');
SECURITY LABEL FOR warden ON COLUMN codes.pin IS 'pin';
ALTER TABLE codes ALTER pin TYPE int USING pin::int;
SELECT warden.define_type('gone', 'func(public.pin_mask)');
SELECT warden.set_mask('name', 'full', 'support_agent', 'id = 2');
CREATE TABLE names (name text, nick text);
INSERT INTO names VALUES ('Alice', 'Al');
SECURITY LABEL FOR warden ON COLUMN names.name IS 'name';
SECURITY LABEL FOR warden ON COLUMN names.nick IS 'gone';
GRANT SELECT ON names TO support_agent;
DROP FUNCTION pin_mask;
CREATE ROLE doomed;
SELECT warden.set_mask('ssn', 'clear', 'doomed');
SELECT warden.grant_exemption('doomed', 'ssn', 'infinity', 'test');
CREATE TABLE doomed ();
SELECT warden.grant_exemption('support_agent', 'doomed', 'infinity', 'test');
SELECT warden.add_person('Doomed', 'doomed');
DROP TABLE doomed;
DROP ROLE doomed;
GRANT SELECT ON codes TO support_agent;
SQL
my ($code, $out, $err) = warden_psql($from, 'support_agent',
    q{UPDATE customers SET name = 'Alicia' WHERE id = 1});
like($err, qr/01WD1/, 'there is a pending change to dump');

my $dump = $PostgreSQL::Test::Utils::tmp_check . '/all.sql';
command_ok(
    [ 'pg_dumpall', '-f', $dump, '-d', $from->connstr('postgres') ],
    'pg_dumpall');

# A hash would be no mask for who has its key.
my $key = $from->safe_psql('postgres',
    q{SELECT encode(value, 'hex') FROM warden.mask_keys LIMIT 1});
is(length $key, 64, 'there is a key of 32 bytes');
unlike(slurp_file($dump), qr/$key/, 'and it is not in the dump');
isnt($key, $to->safe_psql('postgres', 'CREATE EXTENSION pg_warden;'
      . q{SELECT encode(value, 'hex') FROM warden.mask_keys LIMIT 1}
      . '; SET warden.allow_drop = on; DROP EXTENSION pg_warden'),
    'another database has another one');

# Roles that are there already (the superuser's own, and nothing else) make
# errors in any restore of pg_dumpall's output; ours must not add to them.
my $restored = '';
$to->psql('postgres', "\\i $dump", stderr => \$restored, on_error_stop => 0);
my @errors = grep { /ERROR:/ && !/role "[^"]*" already exists/ }
  split /\n/, $restored;
is("@errors", '', 'the restore reports no errors');

warden_ok(
    $to, 'support_agent',
    'SELECT email, ssn FROM customers WHERE id = 1',
    '******|***-**-4801', 'labels and the changed mask are there');
warden_ok(
    $to, 'support_agent', 'SELECT code, pin FROM codes', '|',
    'and those that their masks had ceased to suit');
warden_ok($to, 'support_agent', 'SELECT name, nick FROM names', '******|',
    'conditions that have no columns here, and masks without their function');
is( $to->safe_psql(
        'postgres',
        q{SELECT warden.grant_exemption('support_agent', 'codes', 'infinity', 'test')}
    ),
    '4', 'numbers of exemptions go on');
is( $to->safe_psql(
        'postgres',
        q{SELECT string_agg(kind, ',') FROM warden.check()
           WHERE problem ~ 'exist' AND kind <> 'mask'}
    ),
    '', 'nothing is there for a role or table that was gone');
is( $to->safe_psql(
        'postgres',
        'SELECT status, agent, statement_count FROM warden.pending_changes'),
    'proposed|support|1', 'the pending change is there');
is( $to->safe_psql('postgres', 'SELECT role FROM warden.people'),
    'shop_reviewer', 'people are there');
($code, $out, $err) = warden_psql($to, 'support_agent',
    q{UPDATE customers SET name = 'Alicia' WHERE id = 1});
like($err, qr/01WD1:.*\n.*change=2 /, 'numbers of changes go on');

$from->stop;
$to->stop;
done_testing();
