# Credentials stay out of the server log whatever the server's language is, and
# where they were given in a wrong place.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

# glibc takes the language from here for any locale but C; where translations
# are not installed the log is in English, and there is less to see.
delete $ENV{LC_ALL};
$ENV{LANGUAGE} = 'de';

my $node = warden_node('main');
warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
ALTER ROLE gateway SET log_min_duration_statement = 0;
ALTER ROLE gateway SET log_parameter_max_length_on_error = -1;
SQL
my $token =
  $node->safe_psql('postgres', "SELECT warden.issue_token('support')");

sub query
{
    my ($sql, @values) = @_;

    return wire_parse('', $sql) . wire_bind('', '', @values) . wire_execute('');
}

# What the log has of a session in that language.
sub logged
{
    my ($messages, $lc_messages) = @_;
    my $start = -s $node->logfile;

    $node->safe_psql('postgres',
        "ALTER ROLE gateway SET lc_messages = '$lc_messages'");
    my $socket = wire_connect($node, 'gateway');
    wire_answers($socket, join('', @$messages) . wire_message('S', ''));
    close $socket;
    return substr(slurp_file($node->logfile), $start);
}

my $enter = 'SELECT warden.enter($1, $2, $3, $4)';
my @cases = (
    [ [ query('BEGIN'), query($enter, $token, '', '{}', 'latchkey'),
            query('SELECT 1'), query('SELECT warden.leave($1)', 'latchkey') ],
        'a call' ],
    [ [ query('BEGIN'), query($enter, $token, 'zoe', '{}', 'latchkey') ],
        'a person who is not allowed' ],
    [ [ query('BEGIN'), query($enter, '', '', $token, 'latchkey') ],
        'a token in the place of the request' ],
    [ [ query('BEGIN'),
            query("SELECT warden.enter('$token', '$token', '{}'::json, 'latchkey')") ],
        'no such function' ],
    [ [ query("SELECT warden.enter('latch' '$token'") ], 'a syntax error' ],
    [ [ query("SELECT '$token'::int") ], 'a cast' ],
);
my $piece = substr($token, 0, 16);

foreach my $locale ('C', 'C.UTF-8')
{
    foreach my $case (@cases)
    {
        my ($messages, $name) = @$case;

        unlike(logged($messages, $locale), qr/\Q$piece\E|latchkey/,
            "$locale: $name");
    }
}
like(logged($cases[1]->[0], 'C'), qr/parameters?:? \(hidden|\(hidden: it may/,
    'what is left says so');

done_testing();
