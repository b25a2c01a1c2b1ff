# Other libraries that take the same hooks, loaded before us and after us: what
# we promise must not depend on the order, and neither must what they do.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $conf = <<'CONF';
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
log_statement = all
log_min_duration_statement = 0
pg_stat_statements.track = all
pg_stat_statements.track_planning = on
compute_query_id = on
CONF

# A session that badges in with literals, as psql does before version 16.
sub credentials_stay_hidden
{
    my ($node, $name) = @_;
    my %psql = (in => '', out => '', err => '');

    $node->safe_psql('postgres',
        'CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway');
    my $token = $node->safe_psql('postgres',
        "SELECT warden.issue_token('support')");
    my $hex = join '', map { sprintf '\\%04x', ord } split //, $token;
    $psql{handle} = IPC::Run::start(
        [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-U', 'gateway' ],
        '<', \$psql{in}, '>', \$psql{out}, '2>', \$psql{err},
        IPC::Run::timeout(60));
    $psql{in} .= "BEGIN;\nSELECT warden.enter('$token', NULL, '{}', 'latchkey');\n"
      . "\\echo entered\n";
    $psql{handle}->pump until $psql{out} =~ /entered/;
    my $activity = $node->safe_psql('postgres',
        "SELECT query FROM pg_stat_activity WHERE usename = 'gateway'");
    unlike($activity, qr/$token|latchkey/, "$name: no credential in activity");
    $psql{in} .= "SELECT 42 AS answer;\n"
      . "SELECT warden.leave('latchkey'); COMMIT;\n"
      # an error, in other spellings
      . qq{BEGIN; SELECT U&"w\\0061rden".U&"ent\\0065r"(U&'$hex', NULL, '[]', 'latchkey');\n}
      . "ROLLBACK; BEGIN; SELECT warden.leave('latchkey'); ROLLBACK;\n"
      . "\\echo left\n";
    $psql{handle}->pump until $psql{out} =~ /left/;
    like($psql{err}, qr/request must be a JSON object/, "$name: spelled otherwise");
    $psql{in} .= "\\q\n";
    $psql{handle}->finish;
    is( $node->safe_psql('postgres',
            "SELECT count(*) FROM pg_stat_statements WHERE query ~* 'latchkey|wdn_|"
              . "enter.*\\(|leave.*\\(' AND userid = 'gateway'::regrole"),
        '0', "$name: nor in the statistics");
    is( $node->safe_psql('postgres',
            "SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'SELECT \$1 AS answer'"),
        '1', "$name: which have what the agent asked");
    my $log = slurp_file($node->logfile);
    unlike($log, qr/\Q$token\E|\Q$hex\E|latchkey/, "$name: nor in the log");
    return;
}

my @others = qw(pg_stat_statements auto_explain);

foreach my $order ([ 'after', \@others, [] ], [ 'before', [], \@others ])
{
    my ($name, $before, $after) = @$order;
    my $node = warden_node(
        "loaded_$name",
        conf => $conf,
        before => $before,
        after => $after);

    $node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements');
    warden_shop($node);

    warden_ok(
        $node, 'support_agent',
        'SELECT email, ssn FROM customers ORDER BY id',
        "a******\@example.com|***-**-4801\nm******\@example.com|***-**-2210",
        "loaded $name them: reads are masked");
    warden_ok($node, 'support_agent',
        q{SELECT count(*) FROM customers WHERE ssn = '078-05-4801'},
        '0', "loaded $name them: predicates see masks");

    my ($code, $out, $err) =
      warden_psql($node, 'support_agent',
        q{UPDATE customers SET name = 'x' WHERE id = 1});
    is($code, 0, "loaded $name them: a write completes");
    like($err, qr/WARNING:  01WD1:/, "loaded $name them: as a pending change");
    is( $node->safe_psql(
            'postgres', q{SELECT name FROM customers WHERE id = 1}),
        'Alice', "loaded $name them: and is not run");

    warden_fails($node, 'support_agent', q{SELECT pg_sleep(0), pg_notify('a','')},
        'WD002', "loaded $name them: a forbidden function is refused");
    is( $node->safe_psql(
            'postgres', q{SELECT email FROM customers WHERE id = 1}),
        'alice@example.com', "loaded $name them: people see clear text");

    cmp_ok(
        $node->safe_psql(
            'postgres',
            q{SELECT count(*) FROM pg_stat_statements
               WHERE query LIKE 'SELECT email, ssn FROM customers%'}),
        '>', 0, "loaded $name them: they still see the statements");
    credentials_stay_hidden($node, "loaded $name them");
    like(slurp_file($node->logfile), qr/Query Text: SELECT email, ssn FROM/,
        "loaded $name them: and the plans");
    $node->stop;
}

done_testing();
