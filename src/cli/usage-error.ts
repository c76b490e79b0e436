/** The arguments make no sense. The message is one line that says what is wrong and what would be right. */
export class UsageError extends Error {}
