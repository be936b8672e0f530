// The clipboard, where the browser lets a page have it.

/** Whether the text is there now. */
export async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { return false; }
}
