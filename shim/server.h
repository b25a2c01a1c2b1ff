/*
 * server.h
 *		What main hands to a transport.
 */
#ifndef SERVER_H
#define SERVER_H

#include "config.h"
#include "mcp.h"
#include "worker.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct Server
{
	_Atomic(const Config *) cf; /* replaced by a reload, never changed */
	Mcp		   *mcp;
	WorkerPool *workers;
	_Atomic(const char *) default_token;	/* NULL: none */
	int			stop_fd;		/* readable when the process should end */
	int			reload_fd;		/* readable when settings changed; or -1 */
	bool		(*reload) (struct Server *server);
	bool		(*ready) (void *arg);	/* for /readyz */
	void	   *ready_arg;
	void	   *reload_arg;
} Server;

/* Each serves until its client or stop_fd ends it; the exit code. */
extern int	stdio_serve(Server *server);
extern int	http_serve(Server *server);

#endif							/* SERVER_H */
