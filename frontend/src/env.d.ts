/** Put in by the build; null where the checkout's VERSION file is not at hand. */
declare const WEIR_VERSION: string | null;
