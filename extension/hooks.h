/*-------------------------------------------------------------------------
 * hooks.h
 *	  Installs every hook of the library.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_HOOKS_H
#define WARDEN_HOOKS_H

extern void warden_hooks_init(void);

#endif							/* WARDEN_HOOKS_H */
