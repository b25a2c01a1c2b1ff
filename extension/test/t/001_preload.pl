# The library must be preloaded: without its hooks in every session there is
# nothing that governs, so an extension that exists must not look as if it did.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $plain = plain_node('plain');
my ($code, $out, $err) =
  warden_psql($plain, $plain->safe_psql('postgres', 'SELECT current_user'),
    'CREATE EXTENSION pg_warden');

isnt($code, 0, 'CREATE EXTENSION fails without preloading');
like($err, qr/ERROR:  \w{5}: .*shared_preload_libraries/,
    'the error names the setting');
like($err, qr/HINT:  .*shared_preload_libraries/, 'a hint says what to do');
is( $plain->safe_psql(
        'postgres',
        q{SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'warden')
               + (SELECT count(*) FROM pg_extension
                   WHERE extname = 'pg_warden')}),
    '0', 'nothing is left behind');

# Loading it into a single session is no way around that.
($code, $out, $err) =
  $plain->psql('postgres', q{LOAD 'pg_warden'});
isnt($code, 0, 'LOAD fails without preloading');
($code, $out, $err) = (
    $plain->psql(
        'postgres', 'SELECT 1',
        extra_params => [],
        connstr => $plain->connstr('postgres')
          . q{ options='-c session_preload_libraries=pg_warden'}));
isnt($code, 0, 'session_preload_libraries is refused');
$plain->stop;

my $warden = warden_node('warden');
is( $warden->safe_psql(
        'postgres',
        q{SELECT extversion FROM pg_extension WHERE extname = 'pg_warden'}),
    $ENV{WARDEN_VERSION}, 'preloaded, the extension can be created');
$warden->restart;
is($warden->safe_psql('postgres', 'SELECT 1'),
    '1', 'the server comes back with the library');
$warden->stop;

done_testing();
