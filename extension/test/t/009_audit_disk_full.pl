# The disk of the audit trail is full: agents are refused with WD009, and no
# result leaves without its record. With room again all goes on, and what could
# not be written before is there. The disk is a tmpfs of the server's own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $disk = $PostgreSQL::Test::Utils::tmp_check . '/disk';
my $user = getpwuid $<;
my $group = getgrgid $(;

mkdir $disk or die "$disk: $!";

# The mount needs a root, who may be one of a namespace's; the server must not
# be one.
my @mounted = ('unshare', '--user', '--mount', '--map-root-user', '--',
    'sh', '-c', "mount -t tmpfs -o size=12m tmpfs '$disk' && exec \"\$\@\"", '-',
    'unshare', '--user', "--map-user=$user", "--map-group=$group", '--');
plan skip_all => 'no user namespaces with mounts here'
  if system(@mounted, 'true') != 0;

my $node = warden_node('main', conf => "warden.audit_timeout = 2s\n");

warden_shop($node);
$node->stop;
system(@mounted, $node->installed_command('pg_ctl'),
    '-D', $node->data_dir, '-l', $node->logfile, '-w', 'start') == 0
  or BAIL_OUT('the server does not start on its disk');
$node->_update_pid(1);

# A third of the disk is set aside, to be given back.
$node->safe_psql('postgres', <<"SQL");
COPY (SELECT 1) TO PROGRAM 'mkdir $disk/space && head -c 6000000 /dev/zero > $disk/ballast';
SQL
$node->safe_psql('postgres', "CREATE TABLESPACE disk LOCATION '$disk/space'");
$node->safe_psql('postgres', <<'SQL');
ALTER TABLE warden.audit_events SET TABLESPACE disk;
DO $$
BEGIN
    EXECUTE (SELECT format('ALTER TABLE %s SET TABLESPACE disk',
        inhrelid::regclass) FROM pg_inherits
        WHERE inhparent = 'warden.audit_events'::regclass);
END $$;
SQL

# Texts that do not shrink, each with a token that comes back.
srand 1;
my $script = '';
for my $n (1 .. 400)
{
    my $text = join '', map { sprintf '%08x', int rand 2**32 } 1 .. 5000;

    $script .= "SELECT 't-$n', length('$text');\n";
}
my $file = $PostgreSQL::Test::Utils::tmp_check . '/texts.sql';
append_to_file($file, $script);
my ($code, $out, $err) = warden_psql($node, 'support_agent', "\\i $file");
my @received = $out =~ /^(t-\d+)\|40000$/mg;

like($err, qr/ERROR:  WD009:/, 'a full disk ends in WD009');
like($err, qr/53100/, 'and the error says so');
cmp_ok(scalar @received, '>', 10, 'not before it is full');
cmp_ok(scalar @received, '<', 400, 'but then');
($code, $out, $err) = warden_psql($node, 'support_agent',
    q{SELECT 'late', count(*) FROM customers});
like($err, qr/ERROR:  WD009:.*53100/s, 'so it stays');
is($out, '', 'and no row leaves');
warden_fails($node, 'support_agent',
    q{UPDATE customers SET name = 'x' WHERE id = 1},
    'WD009', 'nor is a write recorded');
is($node->safe_psql('postgres', 'SELECT count(*) FROM warden.pending_changes'),
    '0', 'as a change either');
is($node->safe_psql('postgres', 'SELECT count(*) FROM customers'),
    '2', 'people go on working');

$node->safe_psql('postgres',
    "COPY (SELECT 1) TO PROGRAM 'rm $disk/ballast'");
ok( $node->poll_query_until(
        'postgres', q{SELECT last_error IS NULL AND queued_records = 0
                       FROM warden.status}),
    'with room again the worker goes on');
warden_ok($node, 'support_agent', 'SELECT count(*) FROM customers', '2',
    'and agents do');
$node->safe_psql('postgres', 'SELECT warden.flush_audit()');

my %stored = map { $_ => 1 } split /\n/,
  $node->safe_psql('postgres',
    q{SELECT substring(statement, 't-\d+') FROM warden.audit_events
       WHERE kind = 'intent'});
is(join(' ', grep { !$stored{$_} } @received),
    '', 'every result that was received has its record');
is( $node->safe_psql('postgres',
        q{SELECT string_agg(DISTINCT outcome || ' ' || sqlstate, ', ')
           FROM warden.audit_log WHERE agent = 'support'
            AND outcome <> 'ok'}),
    'refused WD009', 'what was refused is recorded as that');
is($node->safe_psql('postgres', 'SELECT * FROM warden.verify_audit()'),
    '', 'the chain is whole');

$node->stop;
done_testing();
