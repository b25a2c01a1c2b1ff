# pgaudit, pg_stat_statements and auto_explain, loaded before us and after us,
# each with all it can log: agents are governed, those see what they are there
# for, and no credential gets into what they write.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

plan skip_all => 'this server has no pgaudit (postgresql-'
  . ($ENV{PG_MAJOR} // 'N') . '-pgaudit)'
  unless -e ($ENV{PG_PKGLIBDIR} // `pg_config --pkglibdir` =~ s/\n//r)
  . '/pgaudit.so';

my $conf = <<'CONF';
pgaudit.log = 'all'
pgaudit.log_parameter = on
pgaudit.log_relation = on
pgaudit.log_rows = on
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
auto_explain.log_nested_statements = on
auto_explain.log_verbose = on
pg_stat_statements.track = all
pg_stat_statements.track_planning = on
compute_query_id = on
log_statement = all
log_min_duration_statement = 0
CONF

# A gateway that sends its credentials as literals, in many spellings.
sub badge_in
{
    my ($node, $token) = @_;
    my $hex = join '', map { sprintf '\\%04x', ord } split //, $token;
    my ($out, $err) = ('', '');

    IPC::Run::run(
        [
            'psql', '-XAtq', '-d',
            $node->connstr('postgres') . ' user=gateway'
        ],
        '<', \<<"SQL", '>', \$out, '2>', \$err, IPC::Run::timeout(60));
BEGIN;
SELECT warden.enter('$token', NULL, '{}', 'latchkey');
SELECT 'bound', ssn FROM customers WHERE id = 1;
SELECT warden.leave('latchkey');
COMMIT;
BEGIN;
SELECT "warden"."enter"('$token', NULL, '{}', 'latchkey') AS "an alias";
SELECT "warden"."leave"('latchkey') AS "an alias";
COMMIT;
BEGIN;
SELECT U&"w\\0061rden".U&"ent\\0065r"(U&'$hex', NULL, '{}', 'latchkey');
SELECT U&"w\\0061rden".U&"le\\0061ve"('latchkey') AS "an ""alias""";
COMMIT;
BEGIN;
SELECT "warden"."enter"('$token', NULL, '[]', 'latchkey');
ROLLBACK;
PREPARE badge (text, text) AS SELECT "warden"."enter"(\$1, NULL, '{}', \$2);
BEGIN;
EXECUTE badge ('$token', 'latchkey');
SELECT warden.leave('latchkey');
COMMIT;
SQL
    return ($out, $err, $hex);
}

# The same through the extended protocol, by bind parameters and as literals,
# which auto_explain writes of when the next message has come.
sub badge_in_bound
{
    my ($node, $token) = @_;
    my $script = "$PostgreSQL::Test::Utils::tmp_check/badge.sql";
    my ($out, $err) = ('', '');

    open my $file, '>', $script or die "$script: $!";
    print $file <<"SQL";
BEGIN;
SELECT "warden".enter(:token, NULL, '{}', :key);
SELECT 'by pgbench', min(ssn) FROM customers;
SELECT "warden".leave(:key);
COMMIT;
BEGIN;
SELECT U&"w\\0061rden".U&"ent\\0065r"(:token, NULL, '{}', :key);
SELECT 'by pgbench', min(ssn) FROM customers;
SELECT U&"w\\0061rden".U&"le\\0061ve"(:key);
COMMIT;
BEGIN;
SELECT "warden".enter('$token', NULL, '{}', 'latchkey');
SELECT 'by pgbench', min(ssn) FROM customers;
SELECT "warden".leave('latchkey');
COMMIT;
SQL
    close $file;
    IPC::Run::run(
        [
            'pgbench', '-n', '-M', $_, '-t', '3', '-f', $script,
            '-D', "token=$token", '-D', 'key=latchkey',
            '-h', $node->host, '-p', $node->port, '-U', 'gateway', 'postgres'
        ],
        '>', \$out, '2>', \$err)
      or return $err
      for qw(extended prepared);
    return '';
}

# pgaudit before 1.7.1, 16.1 and 17.1 takes no statement while a CALL is on its
# stack. It does so without us: here a portal of the client's keeps the CALL.
sub refuses_below_call
{
    my ($node) = @_;
    my $wire = wire_connect($node, 'bystander');

    my (undef, @errors) = wire_converse(
        $wire,
        wire_statement('', 'BEGIN')
          . wire_statement('p', 'CALL two(0)', 1)
          . wire_message('S', ''));
    push @errors,
      (wire_converse($wire, wire_message('Q', "SET work_mem = '1MB'\0")))[1];
    return grep { defined && /^XX000$/ } @errors;
}

# A change that may not run in a transaction.
sub apply_barred
{
    my ($node, $name, $id) = @_;
    my ($code, $out, $err) =
      warden_psql($node, 'shop_reviewer', "CALL warden.apply($id)");
    my $status = $node->safe_psql('postgres',
        "SELECT status FROM warden.pending_changes WHERE id = $id");

    if (refuses_below_call($node))
    {
        like($err, qr/ERROR:  XX000:.*HINT:  Nothing.*upgrade/s,
            "$name: an old pgaudit refuses what may not run in a transaction");
        is($status, 'approved', "$name: and it stays as it was");
        return;
    }
    is("$code $err", '0 ', "$name: what may not run in a transaction is applied");
    is( $node->safe_psql('postgres',
            q{SELECT indisvalid FROM pg_index
               WHERE indexrelid = to_regclass('by_name')}) . " $status",
        't applied', "$name: and is there");
    return;
}

my @others = qw(pgaudit pg_stat_statements auto_explain);
my @orders = (
    [ 'after', \@others, [] ],
    [ 'before', [], \@others ],
    [ 'between', [ 'auto_explain', 'pgaudit' ], ['pg_stat_statements'] ]);

foreach my $order (@orders)
{
    my ($name, $before, $after) = @$order;
    my $node = warden_node("pgaudit_$name", conf => $conf,
        before => $before, after => $after);

    $node->safe_psql('postgres',
        'CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pgaudit');
    warden_shop($node);
    $node->safe_psql('postgres',
        'CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;'
          . ' CREATE ROLE bystander LOGIN;'
          . ' CREATE PROCEDURE two(INOUT i int) LANGUAGE plpgsql AS'
          . " 'BEGIN i := 2; END'");
    my $token =
      $node->safe_psql('postgres', "SELECT warden.issue_token('support')");

    warden_ok($node, 'support_agent',
        'SELECT email, ssn FROM customers ORDER BY id',
        "a******\@example.com|***-**-4801\nm******\@example.com|***-**-2210",
        "$name: reads are masked");
    warden_ok($node, 'support_agent',
        q{SELECT count(*) FROM customers WHERE ssn = '078-05-4801'},
        '0', "$name: predicates see masks");
    my ($code, $out, $err) = warden_psql($node, 'support_agent',
        q{UPDATE customers SET name = 'x' WHERE id = 1});
    like($err, qr/WARNING:  01WD1:/, "$name: a write becomes a change");
    is( $node->safe_psql('postgres',
            'SELECT name FROM customers WHERE id = 1'),
        'Alice', "$name: and is not run");
    warden_fails($node, 'support_agent', q{SELECT pg_notify('a', '')},
        'WD002', "$name: what is forbidden is refused");
    warden_fails($node, 'support_agent', 'SELECT 1 / 0', '22012',
        "$name: errors are errors");
    warden_ok($node, 'support_agent',
        "BEGIN; DECLARE c CURSOR FOR SELECT ssn FROM customers ORDER BY id;
         FETCH 1 FROM c; COPY (SELECT max(ssn) FROM customers) TO STDOUT;
         COMMIT", "***-**-4801\n***-**-4801", "$name: cursors and COPY are");
    warden_ok($node, 'shop_reviewer', "SELECT warden.approve(1, 'go')",
        'approved', "$name: a change is approved");
    warden_ok($node, 'shop_reviewer', 'CALL warden.apply(1)', '',
        "$name: and applied");
    is( $node->safe_psql('postgres',
            'SELECT name FROM customers WHERE id = 1'),
        'x', "$name: once");

    (undef, $out) = warden_psql($node, 'support_agent',
        "SELECT warden.propose('CREATE INDEX CONCURRENTLY by_name"
          . " ON customers (name)', 'test', NULL)");
    $node->safe_psql('postgres', 'ALTER TABLE customers OWNER TO shop_writer;'
          . ' GRANT CREATE ON SCHEMA public TO shop_writer');
    warden_psql($node, 'shop_reviewer', "SELECT warden.approve($out, 'go')");
    apply_barred($node, $name, $out);

    my $hex;
    ($out, $err, $hex) = badge_in($node, $token);
    like($out, qr/^bound\|\*{3}-\*\*-4801$/m, "$name: a gateway badges in");
    like($err, qr/request must be a JSON object/, "$name: or fails to");
    is(badge_in_bound($node, $token), '', "$name: with parameters, too");

    # Our trail
    $node->safe_psql('postgres', 'SELECT warden.flush_audit()');
    is($node->safe_psql('postgres', 'SELECT * FROM warden.verify_audit()'),
        '', "$name: the chain is whole");
    is( $node->safe_psql('postgres', <<'SQL'),
SELECT outcome, count(*) FROM warden.audit_log
 WHERE agent = 'support' AND statement ~ '^(SELECT email|UPDATE|SELECT pg_n|SELECT 1)'
 GROUP BY 1 ORDER BY 1
SQL
        "diverted|1\nerror|1\nok|1\nrefused|1", "$name: each is recorded");
    is( $node->safe_psql('postgres',
            q{SELECT count(*) FROM warden.audit_log
               WHERE outcome IN ('running', 'unknown')}),
        '0', "$name: with its outcome");

    # Theirs
    my $log = slurp_file($node->logfile);
    like($log, qr/AUDIT: SESSION,\d+,\d+,READ,SELECT,TABLE,public.customers,"SELECT email, ssn/,
        "$name: pgaudit logs what an agent reads");
    like($log, qr/AUDIT: SESSION,\d+,\d+,WRITE,UPDATE,TABLE,public.customers,/,
        "$name: and what is written");
    like($log, qr/Query Text: SELECT email, ssn FROM/,
        "$name: auto_explain the plans");
    cmp_ok(
        $node->safe_psql('postgres',
            q{SELECT count(*) FROM pg_stat_statements
               WHERE query LIKE 'SELECT email, ssn FROM customers%'}),
        '>', 0, "$name: pg_stat_statements the statements");

    my @leaks = grep { /\Q$token\E|\Q$hex\E|latchkey/ } split /\n/, $log;
    is(join("\n", @leaks[ 0 .. ($#leaks > 5 ? 5 : $#leaks) ]), '',
        "$name: no credential is in the log");
    is( $node->safe_psql('postgres',
            "SELECT count(*) FROM pg_stat_statements"
              . " WHERE query ~ 'latchkey|$token'"),
        '0', "$name: nor in the statistics");
    unlike($log, qr/terminated by signal|PANIC|TRAP/, "$name: nothing crashed");
    $node->stop;
}

done_testing();
