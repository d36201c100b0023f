Stemctl.main()
