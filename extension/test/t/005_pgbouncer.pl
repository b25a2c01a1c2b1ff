# Behind PgBouncer in transaction mode one server connection serves many
# clients in turn, so nothing of a badge may stay on it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } '/usr/sbin',
  split /:/, $ENV{PATH};
plan skip_all => 'pgbouncer is not installed' unless $pgbouncer;

my $node = warden_node('main');
warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE gateway LOGIN NOINHERIT;
GRANT warden_gateway TO gateway;
SQL
my $token = $node->safe_psql('postgres', q{SELECT warden.issue_token('support')});

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $directory = PostgreSQL::Test::Utils::tempdir_short();
my ($host, $server_port) = ($node->host, $node->port);
append_to_file("$directory/users", qq{"gateway" ""\n});
append_to_file("$directory/ini", <<"INI");
[databases]
postgres = host=$host port=$server_port
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $directory
auth_type = trust
auth_file = $directory/users
pool_mode = transaction
default_pool_size = 1
logfile = $directory/log
pidfile = $directory/pid
INI
my $pooler = IPC::Run::start([ $pgbouncer, '-q', "$directory/ini" ],
    '<', '/dev/null', '>', "$directory/out", '2>&1');

sub pooled
{
    my ($sql) = @_;
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run(
        [   'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d',
            "host=$directory port=$port user=gateway dbname=postgres" ],
        '<', \$sql, '>', \$out, '2>', \$err);

    chomp $out;
    return ($ok, $out, $err);
}

for (1 .. 100)
{
    last if -S "$directory/.s.PGSQL.$port";
    select(undef, undef, undef, 0.1);
}

my $enter = "SELECT warden.enter('$token', NULL, '{}', 'key');";
my $read = 'SELECT email, ssn FROM customers WHERE id = 1;';
my ($ok, $out, $err);

($ok, $out, $err) = pooled("BEGIN;\n$enter\n$read\nCOMMIT;\n");
like($out, qr/^a\*{6}\@example\.com\|\*{3}-\*{2}-4801$/m,
    'a badged transaction reads masks') or diag($err);

($ok, $out, $err) = pooled($read);
unlike($out, qr/example/, 'the next client of that connection has no badge');
like($err, qr/ERROR:  (WD001|42501)/, 'and is told so');

($ok, $out, $err) = pooled("BEGIN;\n$enter\nRESET ROLE;\n$read\nCOMMIT;\n");
like($err, qr/ERROR:  WD001/, 'a badge can not be taken off half-way');
unlike($out, qr/alice|078-05/, 'so nothing raw is read');

($ok, $out, $err) =
  pooled("BEGIN;\n$enter\nSELECT warden.leave('other');\n$read\nCOMMIT;\n");
like($err, qr/ERROR:  WD001/, 'nor with a key that is not the one given');

($ok, $out, $err) = pooled("BEGIN;\n$enter\nSELECT 1/0;\nROLLBACK;\n$read");
like($err, qr/ERROR:  (WD001|42501)/, 'a failed transaction ends the badge');

($ok, $out, $err) =
  pooled("BEGIN;\n$enter\nSELECT current_setting('warden.agent');\nCOMMIT;\n");
like($out, qr/^support$/m, 'the identity can be read while badged in');
($ok, $out, $err) = pooled("SHOW warden.agent;\n");
unlike($out, qr/support/, 'and is gone afterwards');

$pooler->kill_kill;
$node->stop;
done_testing();
