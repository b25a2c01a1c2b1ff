/*
 * server.h
 *		What main hands to a transport.
 */
#ifndef SERVER_H
#define SERVER_H

#include "config.h"
#include "mcp.h"
#include "worker.h"

#include <stdbool.h>

typedef struct Server
{
	const Config *cf;
	Mcp		   *mcp;
	WorkerPool *workers;
	char	   *default_token;	/* NULL: none */
	int			stop_fd;		/* readable when the process should end */
	bool		(*ready) (void *arg);	/* for /readyz */
	void	   *ready_arg;
} Server;

/* Each serves until its client or stop_fd ends it; the exit code. */
extern int	stdio_serve(Server *server);
extern int	http_serve(Server *server);

#endif							/* SERVER_H */
