# A statement that was prepared by name is planned once for all calls of one
# credential, and anew for everybody else: a gateway's connection never answers
# one identity by a plan that was made for another.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main',
    conf => "pg_stat_statements.track_planning = on\n"
      . "compute_query_id = on\n");
my $conf = PostgreSQL::Test::Utils::slurp_file($ENV{WARDEN_STAGE_CONF});
my ($library) = $conf =~ /^shared_preload_libraries = '(.*)'/m;
$node->append_conf('postgresql.conf',
    "shared_preload_libraries = '$library, pg_stat_statements'");
$node->restart;
warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pg_stat_statements;
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE other_agent;
GRANT SELECT ON customers TO other_agent;
SECURITY LABEL FOR warden ON ROLE other_agent IS 'agent';
SELECT warden.create_agent('other', 'other_agent');
SELECT warden.allow_delegation('support', person) FROM unnest('{rita,ada}'::text[]) person;
SELECT warden.set_mask('ssn', $$const('other')$$, 'other_agent');
CREATE FUNCTION definer() RETURNS text LANGUAGE plpgsql STABLE
    SECURITY DEFINER AS 'BEGIN RETURN (SELECT ssn FROM customers WHERE id = 1); END';
SQL
my %token = map {
    $_ => $node->safe_psql('postgres', "SELECT warden.issue_token('$_')")
} qw(support other);

# ---- the protocol ----------------------------------------------------------

# Bind and Execute of a statement that has been parsed.
sub bound
{
    my ($name, @values) = @_;

    return wire_bind('', $name, @values) . wire_execute('');
}

my ($socket, $backend) = wire_connect($node, 'gateway');

sub converse { return join('|', wire_answers($socket, @_)) }

# One call: what its statements give, between enter and leave.
sub call
{
    my ($agent, $statements, $person) = @_;
    my $answer = converse(wire_parse('', 'BEGIN') . bound('')
          . bound('enter', $token{$agent}, $person // '')
          . $statements
          . bound('leave') . wire_parse('', 'COMMIT') . bound('')
          . wire_message('S', ''));

    converse(wire_parse('', 'ROLLBACK') . bound('') . wire_message('S', ''));
    $answer =~ s/\{.*?\}//g;
    $answer =~ s/^\|+|\|+$//g;
    return $answer;
}

# ---- before badging in -----------------------------------------------------

is( converse(wire_parse('', 'SHOW warden.backend_pid') . bound('')
          . wire_message('S', '')),
    $backend, 'a gateway may ask whether it talks to the backend itself');
is( converse(wire_parse('', 'SELECT pg_catalog.pg_backend_pid()') . bound('')
          . wire_message('S', '')),
    'WD001', 'but may call no function');
is( converse(wire_parse('enter', q{SELECT warden.enter($1, $2, '{}', 'key')})
          . wire_parse('leave', q{SELECT warden.leave('key')})
          . wire_message('S', '')),
    '', 'the statements of each call are prepared');

# ---- one identity ----------------------------------------------------------

my $select = 'SELECT ssn FROM customers WHERE id = 1';
is(call('support', wire_parse('q', $select) . bound('q')),
    '***-**-4801', 'an agent prepares a statement');
is_deeply([ map { call('support', bound('q')) } 1 .. 9 ],
    [ ('***-**-4801') x 9 ], 'and runs it in later calls');
is( $node->safe_psql('postgres',
        qq{SELECT plans, calls FROM pg_stat_statements
            WHERE query LIKE '$select' OR query LIKE 'SELECT ssn FROM customers WHERE id = \$1'}),
    '1|10', 'it is planned once');

# ---- several ---------------------------------------------------------------

is(converse(bound('q') . wire_message('S', '')),
    'WD001', 'who has not badged in can not run it');
is( join(' ', map { call($_, bound('q')) } qw(support other support other)),
    '***-**-4801 other ***-**-4801 other',
    'each identity has a plan of its own');
is( join(' ', map { call($_, wire_parse('', 'SELECT definer()') . bound('')) }
            qw(support other support other)),
    '***-**-4801 other ***-**-4801 other',
    'in functions too that run as another role');
$node->safe_psql('postgres',
    q{SELECT warden.set_mask('ssn', 'full', 'support_agent',
        $$current_setting('warden.on_behalf_of') = 'rita'$$)});
is( join(' ', map { call('support', bound('q'), $_) } 'rita', 'ada', 'rita'),
    '078-05-4801 ****** 078-05-4801', 'and each person');

# ---- what changes ----------------------------------------------------------

$node->safe_psql('postgres',
    q{SELECT warden.set_mask('ssn', $$const('new')$$, 'support_agent')});
is(call('support', bound('q')), 'new', 'a new mask is in the next call');
$node->safe_psql('postgres', q{SELECT warden.grant_exemption('support_agent',
    'customers.ssn', now() + interval '3 seconds', 'test')});
is(call('support', bound('q')), '078-05-4801', 'an exemption too');
sleep 4;
is(call('support', bound('q')), 'new', 'and its end');
$node->safe_psql('postgres', q{ALTER ROLE other_agent BYPASSRLS});
is(call('other', bound('q')), 'WD001', 'a role that can not be an agent any more');
$node->safe_psql('postgres', q{ALTER ROLE other_agent NOBYPASSRLS});
$node->safe_psql('postgres', 'REVOKE SELECT ON customers FROM support_agent');
is(call('support', bound('q')), '42501', 'a privilege that was revoked');
$node->safe_psql('postgres', 'GRANT SELECT ON customers TO support_agent');

# ---- portals ---------------------------------------------------------------

is( call('support', wire_parse('', 'DECLARE c CURSOR FOR SELECT 1 AS kept')
          . bound('') . bound('leave')
          . bound('enter', $token{support}, '')
          . wire_parse('', 'FETCH c') . bound('')),
    'WD001', 'a cursor does not go from one binding to the next');

done_testing();
