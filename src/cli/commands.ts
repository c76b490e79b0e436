/** All commands. A command's module is loaded on demand. */
import type { Commands } from './args.ts';

export const COMMANDS: Commands = new Map([
  ['up', { summary: 'runs the tunnels of a configuration file', load: () => import('./up.ts') }],
  [
    'reload',
    { summary: 'reloads the configuration of a running ttun up', load: () => import('./reload.ts') },
  ],
  ['check', { summary: 'checks a configuration file for mistakes', load: () => import('./check.ts') }],
  ['show', { summary: 'shows running tunnels and their traffic', load: () => import('./show.ts') }],
  [
    'capture',
    { summary: 'prints or records packets of a running tunnel', load: () => import('./capture.ts') },
  ],
  ['doctor', { summary: 'diagnoses tunnels that fail or are slow', load: () => import('./doctor.ts') }],
  ['lab', { summary: 'demonstrates a tunnel on a single machine', load: () => import('./lab.ts') }],
  [
    'completion',
    { summary: 'prints a completion script for a shell', load: () => import('./completion.ts') },
  ],
  ['help', { summary: 'prints the help of a command', load: () => import('./help.ts') }],
]);
